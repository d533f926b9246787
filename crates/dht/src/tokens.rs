//! Write tokens (BEP 5): who stores something must have asked from the same address shortly before,
//! so that nobody announces others.
//!
//! Nothing is remembered. A token is a hash of a secret, of the five minutes in which it was given
//! out, and of the address; it counts during these and the next five.

use crate::limits::TOKEN_S;
use althing_base::hash::Sha256;
use althing_base::{Instant, Seed};
use bytes::Bytes;
use std::net::IpAddr;

/// What makes tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    secret: Seed,
}

/// Bytes of a token: nobody guesses 64 bits at the rate at which we listen.
const LEN: usize = 8;

impl Tokens {
    pub(crate) fn new(secret: Seed) -> Self {
        Tokens { secret }
    }

    /// The token for the node at `ip`.
    pub(crate) fn token(&self, now: Instant, ip: IpAddr) -> Bytes {
        Bytes::copy_from_slice(&self.make(epoch(now), ip))
    }

    /// Whether a token was given out to the node at `ip` in the last five to ten minutes.
    pub(crate) fn is_valid(&self, now: Instant, ip: IpAddr, token: &[u8]) -> bool {
        let epoch = epoch(now);
        token == self.make(epoch, ip) || (epoch > 0 && token == self.make(epoch - 1, ip))
    }

    fn make(&self, epoch: u64, ip: IpAddr) -> [u8; LEN] {
        let mut hash = Sha256::new();
        hash.update(&self.secret.0);
        hash.update(&epoch.to_be_bytes());
        match ip.to_canonical() {
            IpAddr::V4(v4) => hash.update(&v4.octets()),
            IpAddr::V6(v6) => hash.update(&v6.octets()),
        }
        let [a, b, c, d, e, f, g, h, ..] = hash.finish().0;
        [a, b, c, d, e, f, g, h]
    }
}

fn epoch(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000_000 / TOKEN_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn a_token_is_for_one_address_and_for_five_to_ten_minutes(
            start in 0u64..1 << 33, ip: IpAddr, other: IpAddr, seed: u64, later in 0u64..3_000,
        ) {
            // The same IPv4 address written as IPv6 is no other one.
            prop_assume!(ip.to_canonical() != other.to_canonical());
            let tokens = Tokens::new(Seed::from_u64(seed));
            let start = Instant::ORIGIN + Duration::from_secs(start);
            let token = tokens.token(start, ip);
            let now = start + Duration::from_secs(later);
            prop_assert!(!tokens.is_valid(now, other, &token));
            prop_assert!(!tokens.is_valid(now, ip, &token[..7]) && !tokens.is_valid(now, ip, b""));
            prop_assert!(later > TOKEN_S || tokens.is_valid(now, ip, &token));
            prop_assert!(later < 2 * TOKEN_S || !tokens.is_valid(now, ip, &token));
            let others = Tokens::new(Seed::from_u64(seed.wrapping_add(1)));
            prop_assert!(!others.is_valid(start, ip, &token));
        }
    }
}
