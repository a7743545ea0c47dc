//! The file of a ring as another program sees it, byte by byte.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file of a ring, read and changed from outside.
pub struct Raw(File);

impl Raw {
    pub fn open(path: &Path) -> Raw {
        Raw(File::options().read(true).write(true).open(path).unwrap())
    }

    /// A file with these indexes and `capacity` bytes of data.
    pub fn create(path: &Path, head: u64, tail: u64, capacity: u64) -> Raw {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        file.set_len(16 + capacity).unwrap();
        let raw = Raw(file);
        raw.set_head(head);
        raw.set_tail(tail);
        raw
    }

    pub fn indexes(&self) -> (u64, u64) {
        (self.word(0), self.word(8))
    }

    pub fn set_head(&self, head: u64) {
        self.0.write_all_at(&head.to_le_bytes(), 0).unwrap();
    }

    pub fn set_tail(&self, tail: u64) {
        self.0.write_all_at(&tail.to_le_bytes(), 8).unwrap();
    }

    pub fn data(&self) -> Vec<u8> {
        let mut data = vec![0; self.len() as usize - 16];
        self.0.read_exact_at(&mut data, 16).unwrap();
        data
    }

    pub fn set_data(&self, data: &[u8]) {
        self.0.write_all_at(data, 16).unwrap();
    }

    pub fn len(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    pub fn set_len(&self, len: u64) {
        self.0.set_len(len).unwrap();
    }

    fn word(&self, offset: u64) -> u64 {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, offset).unwrap();
        u64::from_le_bytes(word)
    }
}
