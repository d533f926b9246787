//! The key exchange: Diffie and Hellman's, in the group of 768 bits that the specification names.
//!
//! The group is too small and too old to keep anything from anybody who has means; it was chosen to
//! hide what a stream is, not what is in it.

use super::MseError;
use super::limits::{KEY_LEN, SECRET_LEN};
use althing_base::Rng;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U192, U768};

/// The modulus, a safe prime.
const PRIME: Odd<U768> = Odd::<U768>::from_be_hex(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
     EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
);

const GROUP: FixedMontyParams<{ U768::LIMBS }> = FixedMontyParams::new_vartime(PRIME);

/// What one side keeps until the other side's key is there.
pub(super) struct PrivateKey(U192);

/// What both sides know and nobody else: S of the specification.
pub(super) type Shared = [u8; KEY_LEN];

impl PrivateKey {
    /// A fresh one of 160 bits, as the specification recommends.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut bytes = [0; SECRET_LEN];
        rng.fill(&mut bytes);
        Self::from_bytes(&bytes)
    }

    /// The number that these bytes are, the highest first.
    pub(super) fn from_bytes(bytes: &[u8; SECRET_LEN]) -> Self {
        let mut wide = [0; U192::BYTES];
        wide[U192::BYTES - SECRET_LEN..].copy_from_slice(bytes);
        PrivateKey(U192::from_be_slice(&wide))
    }

    /// Two to the power of it: what the other side is sent. One exponentiation.
    pub(super) fn public(&self) -> [u8; KEY_LEN] {
        self.raise(&U768::from_u8(2))
    }

    /// What both sides know. One exponentiation.
    ///
    /// # Errors
    /// [`MseError::BadKey`] if the other side's key is no element of the group, or one of the three
    /// from which the outcome can be foretold.
    pub(super) fn agree(&self, theirs: &[u8; KEY_LEN]) -> Result<Shared, MseError> {
        let theirs = U768::from_be_slice(theirs);
        let last = PRIME.get().wrapping_sub(&U768::ONE);
        if theirs <= U768::ONE || theirs >= last {
            return Err(MseError::BadKey);
        }
        Ok(self.raise(&theirs))
    }

    fn raise(&self, base: &U768) -> [u8; KEY_LEN] {
        let base = FixedMontyForm::new(base, &GROUP);
        let power = base.pow_bounded_exp(&self.0, 8 * SECRET_LEN as u32).retrieve();
        let mut bytes = [0; KEY_LEN];
        bytes.copy_from_slice(power.to_be_bytes().as_ref());
        bytes
    }
}
