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

    /// A crowd of thirty on 30 MiB.
    const THIRTY: FreeRiders = FreeRiders {
        leechers: 30,
        pieces: 120,
        percent: 40,
        trick: Trick::None,
        fast_seed: true,
        lingers_s: 0,
        policies: Policies { choker: ChokerKind::TitForTat, seeding: SeedingKind::Rare },
    };

    /// The median of those who give nothing takes so many times as long as that of those who give, for
    /// three seeds and under both policies; and those who give are not kept waiting for it.
    fn it_pays_to_give(scenario: FreeRiders, at_least: f64) {
        let tried = [1, 2, 3].map(|seed| (ChokerKind::TitForTat, seed));
        for (choker, seed) in tried.into_iter().chain([(ChokerKind::Proportional, 1)]) {
            let policies = Policies { choker, ..Policies::default() };
            let report = run(&FreeRiders { policies, ..scenario }, seed).expect("a torrent");
            assert!(report.is_good(), "{report}");
            let time = |group: &str| report.groups[group].expected_s;
            assert!(time("free-riders") > at_least * time("crowd"), "{report}");
            assert!(time("crowd") < 40.0, "{report}");
        }
    }

    /// When all others have left, a seed that never idles gives three hosts their 90 MiB in 23 s: they
    /// cannot take more than 1.7 times as long as who is through in 32 s.
    #[test]
    fn it_pays_to_give_where_few_give_nothing() {
        it_pays_to_give(FreeRiders { percent: 10, ..THIRTY }, 1.4);
    }

    #[test]
    fn it_pays_to_give_where_many_give_nothing() {
        it_pays_to_give(THIRTY, 2.2);
    }

    #[test]
    fn it_pays_to_give_where_most_give_nothing() {
        it_pays_to_give(FreeRiders { percent: 70, ..THIRTY }, 3.8);
    }

    #[test]
    fn it_does_not_pay_to_call_everybody() {
        it_pays_to_give(FreeRiders { trick: Trick::LargeView, ..THIRTY }, 2.2);
    }

    #[test]
    fn it_does_not_pay_to_change_addresses() {
        it_pays_to_give(FreeRiders { trick: Trick::NewAddresses, ..THIRTY }, 2.2);
    }

    #[test]
    fn it_does_not_pay_to_praise_each_other() {
        it_pays_to_give(FreeRiders { trick: Trick::Praise, ..THIRTY }, 2.2);
    }

    /// A seed as slow as the others gives first to those who pass things on.
    #[test]
    fn it_pays_to_give_where_the_seed_is_slow() {
        let slow = FreeRiders { fast_seed: false, ..THIRTY };
        let report = run(&slow, 1).expect("a torrent");
        assert!(report.is_good(), "{report}");
        let time = |group: &str| report.groups[group].expected_s;
        assert!(time("free-riders") > 2.5 * time("crowd"), "{report}");
    }

    #[test]
    fn the_same_number_gives_the_same_run() {
        let policies = Policies { choker: ChokerKind::Proportional, ..Policies::default() };
        let scenario = Tyrants { leechers: 12, tyrants: 2, pieces: 30, policies };
        let hash = || run(&scenario, 5).expect("a torrent").hash;
        assert_eq!(hash(), hash());
    }
}
