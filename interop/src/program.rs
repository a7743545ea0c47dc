//! Programs that a test starts, and that end with it however it ends.

use crate::START;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::timeout;

/// The signal that ends a program for sure.
#[derive(Debug, Clone, Copy)]
pub enum EndWith {
    /// SIGKILL.
    Kill,
    /// SIGQUIT: PostgreSQL leaves at once then, too, but takes its processes along.
    Quit,
}

impl EndWith {
    fn signal(self) -> Signal {
        match self {
            EndWith::Kill => Signal::KILL,
            EndWith::Quit => Signal::QUIT,
        }
    }

    /// As setpriv(1) wants it.
    fn name(self) -> &'static str {
        match self {
            EndWith::Kill => "KILL",
            EndWith::Quit => "QUIT",
        }
    }
}

/// How to start a program. The kernel ends it when the thread of the test does, even if the test is
/// killed (`PR_SET_PDEATHSIG`).
#[derive(Debug)]
pub struct Launch {
    what: &'static str,
    command: Command,
    end_with: EndWith,
}

impl Launch {
    /// A program that runs as this user.
    pub fn new(what: &'static str, program: &Path, end_with: EndWith) -> Launch {
        Launch::as_user(what, program, end_with, None)
    }

    /// A program that runs as another user, if one is given; only root can start that.
    pub fn as_user(
        what: &'static str,
        program: &Path,
        end_with: EndWith,
        user: Option<&str>,
    ) -> Launch {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", end_with.name()]);
        if let Some(user) = user {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
        }
        command.arg("--").arg(program);
        Launch {
            what,
            command,
            end_with,
        }
    }

    /// Arguments of the program.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Launch {
        self.command.args(args);
        self
    }

    /// Starts it, and waits until it says that it is ready.
    pub async fn until(self, ready: &str) -> Program {
        let program = self.start();
        program.says(ready).await;
        program
    }

    /// Runs it to its end, which has to be a good one.
    pub async fn finish(self) {
        let mut program = self.start();
        while program.said.changed().await.is_ok() {}
        let status = program.child.wait().expect("wait");
        assert!(status.success(), "{}: {status}", program.what);
    }

    fn start(mut self) -> Program {
        let what = self.what;
        let (reader, writer) = io::pipe().expect("a pipe");
        let also = writer.try_clone().expect("a descriptor");
        self.command
            .stdin(Stdio::null())
            .stdout(also)
            .stderr(writer);
        let child = self.command.spawn();
        let child = child
            .unwrap_or_else(|e| panic!("{what} needs setpriv, of the package util-linux: {e}"));
        let receiver = Receiver::from_owned_fd(reader.into()).expect("a pipe on the runtime");
        let mut lines = BufReader::new(receiver).lines();
        let (sender, said) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|said| said.extend([&line, "\n"]));
            }
        });
        Program {
            what,
            child,
            end_with: self.end_with,
            said,
        }
    }
}

/// A running program, ended when it is dropped. If that is because the test fails, all that it has
/// said is printed.
#[derive(Debug)]
pub struct Program {
    what: &'static str,
    child: Child,
    end_with: EndWith,
    said: watch::Receiver<String>,
}

impl Program {
    /// Waits until its output contains `text`.
    pub async fn says(&self, text: &str) {
        let mut said = self.said.clone();
        let found = timeout(START, said.wait_for(|said| said.contains(text))).await;
        assert!(
            matches!(found, Ok(Ok(_))),
            "{} does not say {text:?}",
            self.what
        );
    }

    /// The first line so far with this text.
    pub fn line(&self, text: &str) -> Option<String> {
        let said = self.said.borrow();
        said.lines()
            .find(|line| line.contains(text))
            .map(str::to_owned)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already, but it is not waited for yet, so that the number is still
            // its own.
            let _ = kill_process(pid, self.end_with.signal());
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.what, self.said.borrow().as_str());
        }
    }
}
