//! Positional IO as the operating system has it best: `pwritev`, `SEEK_DATA` and `syncfs` on
//! Linux, and what the standard library offers elsewhere.

#[cfg(not(target_os = "linux"))]
pub(super) use portable::{allocate, copy, data_from, sync_file_system, write_at};

#[cfg(target_os = "linux")]
pub(super) use linux::{allocate, copy, data_from, sync_file_system, write_at};

/// Reads into `buf` from `offset`; fewer bytes only at the end of the file or when interrupted.
#[cfg(unix)]
pub(super) fn read_at(file: &std::fs::File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

/// Reads into `buf` from `offset`; fewer bytes only at the end of the file or when interrupted.
#[cfg(windows)]
pub(super) fn read_at(file: &std::fs::File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::fs::{FallocateFlags, SeekFrom};
    use std::fs::File;
    use std::io::{self, IoSlice};

    /// `IOV_MAX`: the kernel refuses longer lists.
    const SLICES_MAX: usize = 1024;

    /// Writes a prefix of `bufs`, one after the other, from `offset`; says how many bytes.
    pub(in super::super) fn write_at(
        file: &File,
        bufs: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        let bufs = bufs.get(..SLICES_MAX).unwrap_or(bufs);
        Ok(rustix::io::pwritev(file, bufs, offset)?)
    }

    /// The first offset from `offset` on that may hold data; `None` if a hole reaches to the end.
    pub(in super::super) fn data_from(file: &File, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(file, SeekFrom::Data(offset)) {
            Ok(data) => Ok(Some(data)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system without holes: all of it may be data.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(offset)),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes disk space for a part of a file, and makes the file as long as that.
    pub(in super::super) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            done => Ok(done?),
        }
    }

    /// Copies a part of one file to another without its bytes passing through here; says how many.
    /// btrfs, XFS and others share the blocks until one of the files changes.
    pub(in super::super) fn copy(
        source: &File,
        mut from: u64,
        target: &File,
        mut to: u64,
        len: usize,
    ) -> io::Result<usize> {
        let copied =
            rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), len);
        Ok(copied?)
    }

    /// Flushes the file system that `file` is on. Errors of writing back are told since Linux 5.8.
    pub(in super::super) fn sync_file_system(file: &File) -> io::Result<bool> {
        rustix::fs::syncfs(file)?;
        Ok(true)
    }
}

/// For systems without the calls above. Compiled for tests everywhere, so that it stays right.
#[cfg(any(test, not(target_os = "linux")))]
mod portable {
    use std::fs::File;
    use std::io::{self, IoSlice};

    /// Writes a prefix of `bufs`, one after the other, from `offset`; says how many bytes.
    pub(in super::super) fn write_at(
        file: &File,
        bufs: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        let Some(first) = bufs.iter().find(|buf| !buf.is_empty()) else { return Ok(0) };
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(file, first, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(file, first, offset);
    }

    /// The first offset from `offset` on that may hold data: holes can't be asked for.
    pub(in super::super) fn data_from(_file: &File, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }

    /// There is no such call.
    pub(in super::super) fn allocate(_file: &File, _offset: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no such call.
    pub(in super::super) fn copy(
        _source: &File,
        _from: u64,
        _target: &File,
        _to: u64,
        _len: usize,
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no such call.
    pub(in super::super) fn sync_file_system(_file: &File) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{self, IoSlice};

    type WriteAt = fn(&File, &[IoSlice<'_>], u64) -> io::Result<usize>;

    fn check_write(write: WriteAt, at_least: usize) {
        let file = tempfile::tempfile().unwrap();
        let bufs = [IoSlice::new(b""), IoSlice::new(b"one"), IoSlice::new(b"two")];
        assert!(write(&file, &bufs, 5).unwrap() >= at_least);
        let mut back = [1; 16];
        let len = read_at(&file, &mut back, 0).unwrap();
        assert_eq!(&back[..8], b"\0\0\0\0\0one");
        assert_eq!(len, file.metadata().unwrap().len() as usize);
    }

    #[test]
    fn writes_land_at_their_offset_on_every_path() {
        check_write(write_at, 6);
        check_write(portable::write_at, 3);
    }

    #[test]
    fn holes_are_never_taken_for_the_only_data() {
        let file = tempfile::tempfile().unwrap();
        write_at(&file, &[IoSlice::new(&[7; 4096])], 1 << 20).unwrap();
        let data = data_from(&file, 0).unwrap().unwrap();
        assert!(data <= 1 << 20);
        assert_eq!(portable::data_from(&file, 9).unwrap(), Some(9));
        assert!(data_from(&file, 1 << 20).unwrap() == Some(1 << 20));
        assert!(sync_file_system(&file).unwrap() == cfg!(target_os = "linux"));
        assert!(!portable::sync_file_system(&file).unwrap());
        let error = portable::allocate(&file, 0, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let error = portable::copy(&file, 0, &file, 0, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
