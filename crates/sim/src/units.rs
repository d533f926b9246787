//! Hosts, rates and the content of blocks.

use althing_base::time::Duration;
use std::fmt;

/// A simulated computer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

impl HostId {
    /// Its place in lists of all hosts.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", self.0)
    }
}

/// Bytes a second; never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rate(u64);

impl Rate {
    /// `bytes` a second, at least one.
    pub const fn bytes_per_s(bytes: u64) -> Rate {
        Rate(if bytes == 0 { 1 } else { bytes })
    }

    /// `kib` KiB a second.
    pub const fn kib_per_s(kib: u64) -> Rate {
        Rate::bytes_per_s(kib * 1024)
    }

    /// Bytes a second.
    pub const fn as_bytes_per_s(self) -> u64 {
        self.0
    }

    /// How long `bytes` take.
    pub fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What a block holds, instead of its 16 KiB: zero for the bytes that the torrent means, any other
/// number for a lie. Two lies with one number are the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Content(pub(crate) u32);

impl Content {
    /// What the torrent means.
    pub(crate) const TRUE: Content = Content(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_bytes_over_rate() {
        assert_eq!(Rate::kib_per_s(1).time_for(512), Duration::from_millis(500));
        assert_eq!(Rate::bytes_per_s(0).time_for(1), Duration::from_secs(1));
        assert_eq!(
            Rate::bytes_per_s(1).time_for(u64::MAX),
            Duration::from_nanos(u64::MAX),
            "the longest time there is"
        );
    }
}
