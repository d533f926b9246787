//! What Noise is made of here: X25519, ChaCha20-Poly1305 and SHA-256, from the crates that the rest of this
//! program has anyway, and randomness from a seed.
//!
//! `snow` brings crates of its own for these, each in an older version than ours (decision 0027).

use althing_base::hash::Sha256;
use althing_base::{Rng, Seed};
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use curve25519_dalek::MontgomeryPoint;
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};

/// Bytes by which a ciphertext is longer than what was encrypted (RFC 8439).
pub(crate) const TAG_BYTES: usize = 16;

/// Gives Noise what it is made of.
pub(crate) struct Primitives {
    pub(crate) seed: Seed,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Seeded(Rng::new(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(X25519::default()) as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(RunningHash::default()) as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::new(ChaChaPoly::default()) as _)
    }
}

struct Seeded(Rng);

impl Random for Seeded {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.0.fill(dest);
        Ok(())
    }
}

/// A key pair (RFC 7748).
#[derive(Default)]
struct X25519 {
    secret: [u8; 32],
    public: [u8; 32],
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        if let Ok(secret) = secret.try_into() {
            self.secret = secret;
            self.public = MontgomeryPoint::mul_base_clamped(secret).to_bytes();
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = [0; 32];
        rng.try_fill_bytes(&mut secret)?;
        self.set(&secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.secret
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        // Noise hands in a buffer that is longer than the key.
        let public = *public.first_chunk().ok_or(Error::Dh)?;
        let shared = MontgomeryPoint(public).mul_clamped(self.secret).to_bytes();
        // A point of small order, with which everybody has the same secret.
        if shared == [0; 32] {
            return Err(Error::Dh);
        }
        *out.first_chunk_mut().ok_or(Error::Dh)? = shared;
        Ok(())
    }
}

#[derive(Default)]
struct RunningHash(Sha256);

impl Hash for RunningHash {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Sha256::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest = std::mem::take(&mut self.0).finish();
        out[..32].copy_from_slice(&digest.0);
    }
}

#[derive(Default)]
struct ChaChaPoly {
    key: [u8; 32],
}

/// Four zero bytes and the number, little-endian (the Noise specification, section 12.3).
fn nonce(number: u64) -> chacha20poly1305::Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_le_bytes());
    nonce.into()
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key = *key;
    }

    fn encrypt(&self, number: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = ChaCha20Poly1305::new(&self.key.into())
            .encrypt_inout_detached(&nonce(number), authtext, InOutBuf::from(text))
            .expect("256 GiB are not reached by 64 KiB");
        rest[..TAG_BYTES].copy_from_slice(&tag);
        plaintext.len() + TAG_BYTES
    }

    fn decrypt(
        &self,
        number: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (text, tag) = ciphertext.split_last_chunk::<TAG_BYTES>().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..text.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(text);
        ChaCha20Poly1305::new(&self.key.into())
            .decrypt_inout_detached(&nonce(number), authtext, InOutBuf::from(out), &(*tag).into())
            .map_err(|_| Error::Decrypt)?;
        Ok(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snow::Builder;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_handshake_is_that_of_another_implementation() {
        // From the vectors of cacophony (Haskell), as snow has them.
        let build = |secret: &str, ephemeral: &str, initiator| {
            let primitives = Box::new(Primitives { seed: Seed::from_u64(1) });
            let (secret, ephemeral) = (hex(secret), hex(ephemeral));
            let builder = Builder::with_resolver(super::super::NOISE.parse().unwrap(), primitives)
                .prologue(b"John Galt")
                .unwrap()
                .local_private_key(&secret)
                .unwrap()
                .fixed_ephemeral_key_for_testing_only(&ephemeral);
            if initiator { builder.build_initiator() } else { builder.build_responder() }.unwrap()
        };
        let mut ours = build(
            "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
            "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
            true,
        );
        let mut theirs = build(
            "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
            "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
            false,
        );
        let handshake = [
            (
                "Ludwig von Mises",
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944\
                 4c756477696720766f6e204d69736573",
            ),
            (
                "Murray Rothbard",
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843\
                 81cbad1f276e038c48378ffce2b65285e08d6b68aaa3629a5a8639392490e5b9\
                 bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c412f8a0db50f\
                 8814c7194e83f23dbd8d162c9326ad",
            ),
            (
                "F. A. Hayek",
                "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a8\
                 0ae475b9df0f169ae80a89be0865b57f58c9fea0d4ec82a286427402f113e4b6\
                 ae769a1d95941d49b25030",
            ),
        ];
        let (mut frame, mut read) = ([0; 200], [0; 200]);
        for (number, (payload, ciphertext)) in handshake.into_iter().enumerate() {
            let (writer, reader) =
                if number % 2 == 0 { (&mut ours, &mut theirs) } else { (&mut theirs, &mut ours) };
            let written = writer.write_message(payload.as_bytes(), &mut frame).unwrap();
            assert_eq!(frame[..written], hex(ciphertext));
            let bytes = reader.read_message(&frame[..written], &mut read).unwrap();
            assert_eq!(&read[..bytes], payload.as_bytes());
        }
        let (mut ours, mut theirs) =
            (ours.into_transport_mode().unwrap(), theirs.into_transport_mode().unwrap());
        let written = theirs.write_message(b"Carl Menger", &mut frame).unwrap();
        let sealed = "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df";
        assert_eq!(frame[..written], hex(sealed));
        assert_eq!(ours.read_message(&frame[..written], &mut read), Ok(11));
    }
}
