//! The command `slipring forward` before a server that knows only its Unix socket.

use crate::{EndWith, Launch, Program, connect};
use slipring::tokio::Stream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// `slipring forward` from a name to a server's Unix socket.
#[derive(Debug)]
pub struct Forward {
    program: Program,
    directory: TempDir,
}

impl Forward {
    /// Builds the command, if that has not been done. To be called before the time of a test runs.
    pub fn build() {
        command();
    }

    /// Starts it before the server at this socket.
    pub async fn to(socket: &Path) -> Forward {
        let directory = tempfile::tempdir().expect("a directory");
        let from = format!("slip-listen:{}", directory.path().join("name").display());
        let to = format!("unix:{}", socket.display());
        let launch = Launch::new("slipring forward", command(), EndWith::Kill)
            .args(["forward", "-v", &from, &to]);
        let program = launch.until("listening on ").await;
        Forward { program, directory }
    }

    /// A stream to the server. The command numbers them from 1 on.
    pub async fn connect(&self) -> Stream {
        connect(&self.directory.path().join("name")).await
    }

    /// Waits until these connections have ended, each in order on both sides.
    pub async fn ended_well(&self, connections: impl IntoIterator<Item = usize>) {
        for connection in connections {
            let ended = format!("#{connection} ended after");
            self.program.says(&ended).await;
            let line = self.program.line(&ended).expect("it was there just now");
            assert!(line.ends_with(": clean end"), "{line}");
        }
    }
}

/// The command as it is now: Cargo knows whether it has to be built again.
fn command() -> &'static Path {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(|| {
        let build = escargot::CargoBuild::new()
            .manifest_path(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../slipring-cli/Cargo.toml"
            ))
            .bin("slipring");
        build.run().expect("the command is built").path().to_owned()
    })
}
