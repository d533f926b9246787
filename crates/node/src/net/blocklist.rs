//! The user's list of addresses to keep out: read at the start, and again whenever it changes.

use crate::config::Network;
use crate::limits::BLOCKLIST_LOOK_INTERVAL;
use althing_net::filter::{IpFilter, Report, UnpackError, unpack};
use althing_net::limits::LIST_BYTES_MAX;
use std::io;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// By what a file is known to have changed.
type Stamp = (Option<SystemTime>, u64);

/// See the [module](self).
pub(crate) struct Blocklist {
    path: PathBuf,
    /// Whether private networks are kept out, too.
    lan: bool,
    loaded: RwLock<Loaded>,
    refused: AtomicU64,
}

#[derive(Clone)]
struct Loaded {
    filter: Arc<IpFilter>,
    report: Report,
    stamp: Stamp,
}

impl Blocklist {
    /// Reads the list that the settings name; `None` if they name none.
    ///
    /// # Errors
    /// If it cannot be read: whoever wants a filter does not want to be without.
    pub(crate) fn open(network: &Network) -> io::Result<Option<Self>> {
        if network.ip_filter.as_os_str().is_empty() {
            return Ok(None);
        }
        let path = network.ip_filter.clone();
        let loaded = RwLock::new(load(&path)?);
        Ok(Some(Blocklist { path, lan: network.ip_filter_lan, loaded, refused: AtomicU64::new(0) }))
    }

    /// Whether `ip` is kept out.
    pub(crate) fn blocks(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if !self.lan && is_private(ip) {
            return false;
        }
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).filter.blocks(ip)
    }

    /// Counts somebody who was kept out.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What there is: ranges, lines that make no sense, connections that were refused.
    pub(crate) fn figures(&self) -> (usize, usize, u64) {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        (loaded.filter.len(), loaded.report.skipped, self.refused.load(Ordering::Relaxed))
    }

    /// What was read, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let ranges = loaded.filter.len();
        let skipped = match (loaded.report.skipped, loaded.report.first_skipped) {
            (count, Some(first)) => format!("; {count} lines make no sense, line {first} first"),
            _ => String::new(),
        };
        format!("the IP filter {} keeps out {ranges} ranges{skipped}", self.path.display())
    }

    /// Looks every now and then whether the list has changed, for as long as it is polled. `say` is
    /// told what became of it, and whether it was read.
    pub(crate) async fn watch(self: Arc<Self>, say: impl Fn(String, bool)) {
        let mut failed = None;
        loop {
            tokio::time::sleep(BLOCKLIST_LOOK_INTERVAL).await;
            let own = Arc::clone(&self);
            // A large list takes a while.
            let looking = tokio::task::spawn_blocking(move || own.look_again());
            match looking.await {
                Ok(Ok(true)) => {
                    failed = None;
                    say(self.sentence(), true);
                }
                Ok(Err(error)) if failed != Some(error.kind()) => {
                    failed = Some(error.kind());
                    let path = self.path.display();
                    say(
                        format!(
                            "the IP filter {path} cannot be read ({error}); what it said before \
                        still holds"
                        ),
                        false,
                    );
                }
                _ => {}
            }
        }
    }

    /// Reads the list if it is another than before.
    fn look_again(&self) -> io::Result<bool> {
        let before = self.loaded.read().unwrap_or_else(PoisonError::into_inner).stamp;
        if stamp(&std::fs::metadata(&self.path)?) == before {
            return Ok(false);
        }
        let loaded = load(&self.path)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }
}

fn stamp(metadata: &std::fs::Metadata) -> Stamp {
    (metadata.modified().ok(), metadata.len())
}

fn load(path: &Path) -> io::Result<Loaded> {
    let mut file = std::fs::File::open(path)?;
    // Before it is read: what is written meanwhile makes another.
    let stamp = stamp(&file.metadata()?);
    let mut list = Vec::new();
    file.by_ref().take(LIST_BYTES_MAX as u64 + 1).read_to_end(&mut list)?;
    let list = unpack(&list).map_err(|error| {
        let kind = match error {
            UnpackError::TooLarge => io::ErrorKind::FileTooLarge,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    })?;
    let (filter, report) = IpFilter::parse(&list);
    Ok(Loaded { filter: Arc::new(filter), report, stamp })
}

/// Whether it means something on the user's own networks only (RFC 1918, 3927, 4193, 4291).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn ip(ip: &str) -> IpAddr {
        ip.parse().expect("an address")
    }

    #[test]
    fn a_list_is_read_again_when_it_changes() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("list.p2p");
        std::fs::write(&path, "all:0.0.0.0-255.255.255.255\nnonsense\n").expect("a file");
        let mut network = Network { ip_filter: path.clone(), ..Network::default() };
        let list = Blocklist::open(&network).expect("it is there").expect("it is named");
        assert!(list.blocks(ip("192.0.2.1")) && list.blocks(ip("::ffff:192.0.2.1")));
        assert!(!list.blocks(ip("192.168.1.1")) && !list.blocks(ip("2001:db8::1")));
        assert!(list.sentence().contains("1 lines make no sense, line 2"), "{}", list.sentence());
        assert!(!list.look_again().expect("it is there"));
        std::fs::write(&path, "192.0.2.1\n").expect("a file");
        assert!(list.look_again().expect("it is there"));
        assert!(list.blocks(ip("192.0.2.1")) && !list.blocks(ip("192.0.2.2")));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"192.0.2.1\n192.0.2.7\n").expect("memory");
        let packed = packed.finish().expect("memory");
        std::fs::write(&path, &packed).expect("a file");
        assert!(list.look_again().expect("it is there"));
        assert!(list.blocks(ip("192.0.2.7")) && !list.blocks(ip("192.0.2.2")));
        std::fs::write(&path, &packed[..20]).expect("a file");
        assert_eq!(list.look_again().expect_err("it is cut").kind(), io::ErrorKind::InvalidData);
        std::fs::remove_file(&path).expect("it is there");
        assert!(list.look_again().is_err());
        assert!(list.blocks(ip("192.0.2.1")), "what it said before still holds");
        assert!(Blocklist::open(&network).is_err());
        std::fs::write(&path, "10.0.0.0/8").expect("a file");
        network.ip_filter_lan = true;
        let list = Blocklist::open(&network).expect("it is there").expect("it is named");
        assert!(list.blocks(ip("10.1.1.1")));
    }
}
