//! The simulator.

mod behaviour;
pub mod chart;
mod checks;
pub mod datagrams;
mod digest;
mod disk;
pub mod figures;
mod host;
pub mod limits;
mod network;
mod node;
pub mod overlay;
mod plan;
mod queue;
mod report;
pub mod scenario;
pub mod tables;
mod torrent;
mod tracker;
mod units;
mod world;

pub use checks::Peaks;
pub use disk::{DiskFault, DiskPlan};
pub use plan::{Behaviour, Finds, HostPlan, LeaveWhen, Life, Line, Order, Plan, Start, Watching};
pub use report::{Completion, Group, Report, Sample, View};
pub use torrent::{TorrentKind, TorrentSpec};
pub use units::{HostId, Rate};
pub use world::World;
