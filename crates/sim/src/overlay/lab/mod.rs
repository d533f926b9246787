//! The lab: scenarios in files, run with the machines that the daemon runs, and what has come of them.
//!
//! * [`Scenario`]: what the network is like, what happens to it, what is asked. [`SHIPPED`] come with the program.
//! * [`run`]: runs one; its seed reproduces it exactly.
//! * [`Report`]: figures, which are written as a table, as JSON, as a picture and as a page.

pub mod limits;
mod measure;
mod page;
mod picture;
mod pulse;
mod report;
mod run;
mod scenario;
mod sessions;
mod shipped;
mod values;

pub use measure::{Quantiles, Spreading};
pub use pulse::Pulse;
pub use report::{Answers, Fact, Format, Report};
pub use run::{run, run_watched};
pub use scenario::{
    Ask, Attack, Churn, Conduct, Eclipse, Grow, How, Kill, Nothing, Number, Publish, Scenario,
    ScenarioError, Step, Who, Wrong,
};
pub use shipped::{LoadError, SHIPPED, load};
pub use values::{Bounded, Copies, Nodes, Part, Questions, Time, ValueError, Way};
