//! Memory with a descriptor (memfd_create(2)), sealed (fcntl(2), "File Sealing").

use super::errno::{self, Errno};
use super::failure::Failure;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
    fstatfs, ftruncate, memfd_create,
};
use rustix::io::retry_on_intr;
use std::os::fd::{AsFd, OwnedFd};

/// The seals that every region has. Its size is fixed, nobody maps it writable from then on or
/// takes pages out of it, and no seal is added.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::FUTURE_WRITE)
    .union(SealFlags::SEAL);

/// `TMPFS_MAGIC` of statfs(2). A memfd of huge pages takes the same seals and is of another type.
const TMPFS: u64 = 0x0102_1994;

/// Makes `len` bytes of zeros, which can be sealed (memfd_create(2), fallocate(2)). All pages are
/// allocated: a lack of memory is an error here, not a SIGBUS at the first touch.
pub(crate) fn create(len: u64) -> Result<OwnedFd, Failure> {
    let fd = memfd().map_err(Failure::of("creating shared memory (memfd_create)"))?;
    // Some kernels give it up for a signal.
    retry_on_intr(|| fallocate(&fd, FallocateFlags::empty(), 0, len))
        .map_err(Failure::of("allocating shared memory (fallocate)"))?;
    Ok(fd)
}

fn memfd() -> errno::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A system may be set to refuse memory that could be made executable (sysctl
    // vm.memfd_noexec=2); a kernel before 6.3 does not know the flag that says it will not be.
    match memfd_create("slipring", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create("slipring", flags),
        made => made,
    }
}

/// Adds all seals of a region (`F_ADD_SEALS`). A mapping that is writable by now stays so: the seal
/// binds only those to come.
pub(crate) fn seal(memory: impl AsFd) -> Result<(), Failure> {
    fcntl_add_seals(memory, SEALS).map_err(|e| match e {
        Errno::INVAL => Failure::Unsupported {
            what: "sealing shared memory (F_SEAL_FUTURE_WRITE)",
            needs: "Linux 5.1 or newer",
        },
        e => Failure::of("sealing shared memory")(e),
    })
}

/// Whether it has all seals of a region (`F_GET_SEALS`). Fails for what cannot be sealed: a pipe, a
/// socket, an ordinary file. It calls into no file system of another program.
pub(crate) fn is_sealed(memory: impl AsFd) -> errno::Result<bool> {
    Ok(fcntl_get_seals(memory)?.contains(SEALS))
}

/// Whether it is of ordinary pages (fstatfs(2)).
pub(crate) fn is_ordinary(memory: impl AsFd) -> errno::Result<bool> {
    Ok(fstatfs(memory)?.f_type as u64 == TMPFS)
}

/// Sets the size (ftruncate(2)): of sealed memory that is `EPERM`, unless it has this size. Pages
/// beyond the end go.
pub(crate) fn set_len(memory: impl AsFd, len: u64) -> errno::Result<()> {
    ftruncate(memory, len)
}

/// Its size (fstat(2)).
pub(crate) fn len(memory: impl AsFd) -> errno::Result<u64> {
    Ok(fstat(memory)?.st_size as u64)
}

/// How many bytes of it are allocated (fstat(2)).
pub(crate) fn allocated(memory: impl AsFd) -> errno::Result<u64> {
    Ok((fstat(memory)?.st_blocks as u64).saturating_mul(512))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::mm::{MapFlags, ProtFlags, mmap};

    #[test]
    fn sealed_memory_can_neither_be_mapped_writable_nor_change_its_size() {
        let len = rustix::param::page_size();
        let fd = create(len as u64).unwrap();
        assert!(!is_sealed(&fd).unwrap());
        seal(&fd).unwrap();
        assert!(is_sealed(&fd).unwrap() && is_ordinary(&fd).unwrap());
        assert!(allocated(&fd).unwrap() >= len as u64);
        let (prot, flags) = (ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a fresh mapping; it is expected to fail.
        let mapped = unsafe { mmap(std::ptr::null_mut(), len, prot, flags, &fd, 0) };
        assert_eq!(mapped.unwrap_err(), Errno::PERM);
        assert_eq!(set_len(&fd, len as u64), Ok(()));
        assert_eq!(set_len(&fd, 0), Err(Errno::PERM));
        assert_eq!(set_len(&fd, 1 << 20), Err(Errno::PERM));
        assert_eq!(rustix::io::write(&fd, b"x"), Err(Errno::PERM));
    }
}
