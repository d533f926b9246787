//! Whole sessions in one process, over real sockets on the loopback and real files in temporary
//! folders. Nothing here reaches beyond the machine, uses a fixed port or sleeps: every test waits
//! for events, and fails if they do not come in time.

mod blocks;
mod crawl;
mod dht;
mod encryption;
mod equal;
mod faults;
mod find;
mod follow;
mod half_open;
mod hostile;
mod index;
mod kill;
mod leaning;
mod mail;
mod manage;
mod overlay;
mod places;
mod rates;
mod seeking;
mod settings;
mod steward;
mod stranger;
mod support;
mod trackers;
mod transfer;
mod unfinished;
mod utp;
mod volume;
mod web_seeds;
mod web_server;
