//! Whole nodes: networks of some hundreds, and what a node does with datagrams that mean no good.

mod hostile;
mod network;
mod world;
