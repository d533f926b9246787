//! To whom is given: the policies of `[sharing]` by their names in `config.toml`.

use althing_bittorrent::swarm::{ChokerKind, SeedingKind};
use serde::{Deserialize, Serialize};

/// To whom a torrent that is being fetched is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// To those who give most, in equal parts, and to one more by chance (BEP 3).
    #[default]
    TitForTat,
    /// To everyone who gives, in proportion to what it gave.
    Proportional,
}

impl From<Policy> for ChokerKind {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::TitForTat => ChokerKind::TitForTat,
            Policy::Proportional => ChokerKind::Proportional,
        }
    }
}

/// To whom a complete torrent is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedingPolicy {
    /// First to those who lack what hardly anybody has and pass it on; else by turns.
    #[default]
    Rare,
    /// To those who take fastest (BEP 3).
    Fastest,
    /// To everyone by turns.
    RoundRobin,
    /// First to those who gave something while it was fetched.
    Grateful,
}

impl From<SeedingPolicy> for SeedingKind {
    fn from(seeding: SeedingPolicy) -> Self {
        match seeding {
            SeedingPolicy::Rare => SeedingKind::Rare,
            SeedingPolicy::Fastest => SeedingKind::Fastest,
            SeedingPolicy::RoundRobin => SeedingKind::RoundRobin,
            SeedingPolicy::Grateful => SeedingKind::Grateful,
        }
    }
}
