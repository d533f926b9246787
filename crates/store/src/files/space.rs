//! How full a disk is.

use std::path::Path;

/// Bytes that may still be written to the disk which `path`, or the nearest folder above it that
/// exists, is on; `None` if the system does not say.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|path| path.exists())?;
    os_free_bytes(existing)
}

#[cfg(target_os = "linux")]
fn os_free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(target_os = "linux"))]
fn os_free_bytes(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_disk_of_a_file_that_is_not_there_yet() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let here = free_bytes(dir.path()).expect("Linux says");
        let below = free_bytes(&dir.path().join("a/b")).expect("Linux says");
        assert!(here > 0 && below > 0);
    }
}
