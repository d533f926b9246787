//! One file for each target.

pub mod bencode;
pub mod magnet;
pub mod metainfo;
