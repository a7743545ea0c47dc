//! A file that is written whole, or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Where a page, a chart or a document goes.
pub struct Output {
    /// a description, for people
    what: &'static str,
    /// as it was given, for people
    shown: PathBuf,
    target: Target,
}

enum Target {
    /// A device or a pipe, or a file in a directory that takes no other.
    Open(File),
    /// To be written beside this path, and put in its place when it is whole.
    Beside(PathBuf),
}

impl Output {
    /// To be called before anything is measured. If the file cannot be written, measuring would be
    /// useless. Its contents stay there until there is something whole to take their place.
    pub fn open(path: &Path, what: &'static str) -> io::Result<Output> {
        let target = Target::find(path).map_err(|error| {
            io::Error::other(format!(
                "cannot write the {what} to {}: {error}; nothing was measured, name a file that \
                 can be written",
                path.display()
            ))
        })?;
        Ok(Output {
            what,
            shown: path.into(),
            target,
        })
    }

    /// Writes it.
    pub fn write(self, text: &str) -> io::Result<()> {
        self.target.put(text).map_err(|error| {
            io::Error::other(format!(
                "cannot write the {} to {}: {error}; make room there, or name another file (the \
                 figures are on standard output)",
                self.what,
                self.shown.display()
            ))
        })
    }
}

impl Target {
    fn find(path: &Path) -> io::Result<Target> {
        // A link stays one; the file that it leads to is replaced.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let there = match OpenOptions::new().write(true).open(&real) {
            Ok(file) if !file.metadata()?.is_file() => return Ok(Target::Open(file)),
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // To find out whether the directory takes another file, it is given one.
        match (new_file(&beside(&real)), there) {
            (Ok(_), _) => {
                fs::remove_file(beside(&real))?;
                Ok(Target::Beside(real))
            }
            (Err(_), Some(file)) => Ok(Target::Open(file)),
            (Err(error), None) => Err(error),
        }
    }

    fn put(&self, text: &str) -> io::Result<()> {
        match self {
            Target::Open(file) => {
                let mut file = file;
                // A device or a pipe has no length.
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                file.write_all(text.as_bytes())
            }
            Target::Beside(path) => {
                let new = beside(path);
                let put = put_in_place(&new, path, text);
                if put.is_err() {
                    let _ = fs::remove_file(&new);
                }
                put
            }
        }
    }
}

fn put_in_place(new: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = new_file(new)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    // A full disk may be told only now.
    file.sync_all()?;
    fs::rename(new, path)
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A name in the same directory that no other process takes.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
