//! Who takes without giving, and who gives just enough: does it pay?

use super::tyrant;
use super::{Scenario, home, seed};
use crate::plan::{Behaviour, HostPlan, LeaveWhen, Life, Plan, Start};
use crate::torrent::TorrentSpec;
use althing_base::Rng;
use althing_base::time::Duration;
use althing_bittorrent::swarm::{ChokerKind, SeedingKind};

/// How a crowd shares what it sends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies {
    /// While fetching.
    pub choker: ChokerKind,
    /// Once it has everything.
    pub seeding: SeedingKind,
}

impl Policies {
    fn of(self, mut host: HostPlan) -> HostPlan {
        host.choker = self.choker;
        host.seeding = self.seeding;
        host
    }
}

/// Connections of a host that calls everybody it hears of: the large-view exploit (Sirivianos et al.
/// 2007, "Free-riding in BitTorrent Networks with the Large View Exploit").
const LARGE_VIEW: usize = 1000;

/// How long somebody stays under one address who hides what he took.
const ADDRESS_KEPT: Duration = Duration::from_secs(30);

/// For so long he takes the trouble.
const ADDRESSES_CHANGED: u32 = 40;

/// What those who give nothing try besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trick {
    /// Nothing.
    #[default]
    None,
    /// They connect to everybody.
    LargeView,
    /// They come back under another address every half minute: who has no name has no debts.
    NewAddresses,
    /// Each says that it has what another of them has got, so that it seems to be passed on.
    Praise,
}

/// The life of somebody who starts again and again.
fn new_addresses() -> Vec<(Duration, Life)> {
    let again = |n: u32| [(ADDRESS_KEPT * n, Life::Stop), (ADDRESS_KEPT * n, Life::Start)];
    std::iter::once((Duration::ZERO, Life::Start))
        .chain((1..=ADDRESSES_CHANGED).flat_map(again))
        .collect()
}

/// One seed, and a crowd part of which never gives anything. Whoever gives leaves when it has
/// everything, as most people do: nobody is left then to whom a free-rider could turn but the seed.
#[derive(Clone, Copy, Debug)]
pub struct FreeRiders {
    /// Hosts that fetch.
    pub leechers: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// Part of them that gives nothing, in percent.
    pub percent: u32,
    /// What else they do.
    pub trick: Trick,
    /// The seed's line is four times as fast as the others', or else like theirs.
    pub fast_seed: bool,
    /// Whoever gives stays for so long when it has everything, in seconds.
    pub lingers_s: u32,
    /// How the others share.
    pub policies: Policies,
}

impl Default for FreeRiders {
    fn default() -> Self {
        FreeRiders {
            leechers: 100,
            pieces: 200,
            percent: 40,
            trick: Trick::None,
            fast_seed: true,
            lingers_s: 0,
            policies: Policies::default(),
        }
    }
}

impl FreeRiders {
    /// Its name.
    pub const NAME: &'static str = "free-riders";
    /// Its name if free-riders connect to everybody.
    pub const LARGE_VIEW_NAME: &'static str = "large-view";
    /// Its name if they come back under another address every half minute.
    pub const NEW_ADDRESSES_NAME: &'static str = "whitewashing";
    /// Its name if they praise each other.
    pub const PRAISE_NAME: &'static str = "praise";
}

impl Scenario for FreeRiders {
    fn name(&self) -> &'static str {
        match self.trick {
            Trick::None => Self::NAME,
            Trick::LargeView => Self::LARGE_VIEW_NAME,
            Trick::NewAddresses => Self::NEW_ADDRESSES_NAME,
            Trick::Praise => Self::PRAISE_NAME,
        }
    }

    fn plan(&self, _: &mut Rng) -> Plan {
        let first = if self.fast_seed { seed() } else { home(Start::Everything) };
        let mut hosts = vec![self.policies.of(first)];
        for number in 0..self.leechers {
            let rides_free = number * self.percent / 100 != (number + 1) * self.percent / 100;
            let mut host = self.policies.of(home(Start::Nothing));
            if rides_free {
                host = host.behaving(Behaviour::FreeRider);
                host.unchoke_slots = Some(0);
                host.group = "free-riders";
                match self.trick {
                    Trick::None => {}
                    Trick::LargeView => host.connections_max = Some(LARGE_VIEW),
                    Trick::NewAddresses => {
                        host.new_addresses = true;
                        host.life = new_addresses();
                    }
                    Trick::Praise => host.behaviour = Behaviour::Colluder,
                }
            } else {
                let stay = Duration::from_secs(self.lingers_s.into());
                host.leaves = Some(LeaveWhen::Finished(stay));
            }
            hosts.push(host);
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(4 * 3600),
        }
    }
}

/// A crowd in which a few give strategically: each just enough to be given to (Piatek et al. 2007,
/// "Do incentives build robustness in BitTorrent?").
#[derive(Clone, Copy, Debug)]
pub struct Tyrants {
    /// Hosts that fetch.
    pub leechers: u32,
    /// How many of them are strategic.
    pub tyrants: u32,
    /// Pieces of 256 KiB.
    pub pieces: u32,
    /// How the others share.
    pub policies: Policies,
}

impl Default for Tyrants {
    fn default() -> Self {
        Tyrants { leechers: 80, tyrants: 4, pieces: 200, policies: Policies::default() }
    }
}

impl Tyrants {
    /// Its name.
    pub const NAME: &'static str = "tyrants";
}

impl Scenario for Tyrants {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn plan(&self, rng: &mut Rng) -> Plan {
        let mut hosts = vec![self.policies.of(seed())];
        for number in 0..self.leechers {
            let strategic = number < self.tyrants;
            // Lines differ, or there would be nothing to be won; those of the strategic do not.
            let line = if strategic {
                home(Start::Nothing)
            } else {
                super::some_home(Start::Nothing, rng)
            };
            let mut host = self.policies.of(line);
            host.leaves = Some(LeaveWhen::Finished(Duration::ZERO));
            if strategic {
                host.choker = ChokerKind::Other(tyrant::make);
                host.group = "strategic";
            }
            hosts.push(host);
        }
        Plan {
            torrent: TorrentSpec::new(self.pieces, 16),
            hosts,
            deadline: Duration::from_secs(4 * 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::run;

    /// A contributor is through sooner than who gives nothing, also if that one connects to everybody.
    #[test]
    fn it_pays_to_give() {
        let policies = Policies { choker: ChokerKind::Proportional, ..Policies::default() };
        let scenario =
            FreeRiders { leechers: 30, trick: Trick::LargeView, policies, ..FreeRiders::default() };
        // In so small a crowd chance decides much: by how much one run differs from the next.
        let (mut crowd, mut riders) = (0.0, 0.0);
        for seed in 1..=3 {
            let report = run(&scenario, seed).expect("a torrent");
            assert!(report.is_good(), "{report}");
            crowd += report.groups["crowd"].expected_s;
            riders += report.groups["free-riders"].expected_s;
        }
        assert!(riders > 1.5 * crowd, "{riders} s, {crowd} s");
    }

    #[test]
    fn the_same_number_gives_the_same_run() {
        let policies = Policies { choker: ChokerKind::Proportional, ..Policies::default() };
        let scenario = Tyrants { leechers: 12, tyrants: 2, pieces: 30, policies };
        let hash = || run(&scenario, 5).expect("a torrent").hash;
        assert_eq!(hash(), hash());
    }
}
