//! The file that the page is written to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use askama::Template;

use super::Page;
use crate::failure::Failure;

pub struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// To be called before anything is measured, which would be in vain if the file cannot be written. What is in it stays
    /// there until there is a page to take its place.
    pub fn open(path: &Path) -> Result<ReportFile, Failure> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| {
            Failure::failed(format!(
                "cannot write the report to {}: {error}; nothing was measured, name a file that can be written",
                path.display()
            ))
        })?;
        Ok(ReportFile {
            path: path.into(),
            file,
        })
    }

    pub fn write(mut self, page: &Page) -> Result<(), Failure> {
        self.put(page).map_err(|error| {
            Failure::failed(format!(
                "cannot write the report to {}: {error}; make room there, or name another file (the figures are on standard \
                 output)",
                self.path.display()
            ))
        })
    }

    fn put(&mut self, page: &Page) -> io::Result<()> {
        let page = page.render().map_err(io::Error::other)? + "\n";
        // A device or a pipe has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(page.as_bytes())
    }
}
