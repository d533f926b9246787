//! Seeds from the operating system: the only entropy a running node has. Machines fork theirs from
//! one of these and draw nothing else.

use althing_base::Seed;

/// A fresh, unpredictable seed.
///
/// # Errors
/// The operating system's words, if it has no entropy to give: nothing can run safely then.
pub fn seed() -> Result<Seed, EntropyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| EntropyError { error: error.to_string() })?;
    Ok(Seed(bytes))
}

/// The operating system gave no random bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes ({error}); Althing cannot run safely without")]
pub struct EntropyError {
    /// The system's words.
    pub error: String,
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        let seed = || super::seed().expect("test machines have entropy");
        assert_ne!(seed(), seed());
    }
}
