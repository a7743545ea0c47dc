//! The C# program of `examples/csharp`, compiled with Mono and started.

use super::GENEROUS;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// A C# process. Killed when dropped.
pub struct CSharp {
    child: Child,
    said: Receiver<String>,
    what: String,
}

/// Starts the program with these arguments.
pub fn start(arguments: &[&str]) -> CSharp {
    let mut child = Command::new("mono")
        .arg(program())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| {
            panic!("Mono's runtime `mono` cannot be started ({e}): run examples/csharp/setup.sh")
        });
    let output = BufReader::new(child.stdout.take().unwrap());
    let (say, said) = channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    });
    CSharp {
        child,
        said,
        what: arguments.join(" "),
    }
}

impl CSharp {
    /// The next line that it prints.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        match self.said.recv_timeout(4 * GENEROUS) {
            Ok(line) => line,
            Err(e) => panic!(
                "`{}` says nothing more ({e}): {:?}",
                self.what,
                self.child.try_wait()
            ),
        }
    }

    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line, "from `{}`", self.what);
    }

    /// Kills it, and returns once it is dead.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for CSharp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The compiled program; compiled once for all test processes, unless its source has changed.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/csharp");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = directory.join("ring.exe");
        // One at a time: each test may be a process of its own.
        let lock = File::create(directory.join("ring.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
        let newest = ["Bytes.cs", "Frames.cs", "Program.cs", "Ring.cs"]
            .map(|file| changed(&source.join(file)).unwrap());
        if changed(&program).is_ok_and(|compiled| newest.iter().all(|source| compiled > *source)) {
            return program;
        }
        let output = Command::new("mcs")
            .args(["-unsafe", "-optimize"])
            .arg(format!("-out:{}", program.display()))
            .arg(source.join("*.cs"))
            .output()
            .unwrap_or_else(|e| {
                panic!(
                    "Mono's C# compiler `mcs` cannot be started ({e}): run examples/csharp/setup.sh"
                )
            });
        assert!(output.status.success(), "{output:?}");
        program
    })
}
