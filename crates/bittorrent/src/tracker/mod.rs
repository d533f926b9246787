//! Trackers, client and server.
