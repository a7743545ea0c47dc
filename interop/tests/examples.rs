//! Every example runs to its end, and prints its documented output; alone, and as two processes.

use std::path::PathBuf;
use std::process::{Child, Command};
use tempfile::TempDir;

/// Cargo puts the examples beside the folder of the tests. Their names lie in this directory.
fn example(name: &str, directory: &TempDir) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps");
    let path: PathBuf = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: has `cargo build --examples` built it?"
    );
    let mut command = Command::new(path);
    command.env("XDG_RUNTIME_DIR", directory.path());
    command
}

/// Killed when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn says(mut command: Command, expected: &[&str]) {
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for text in expected {
        assert!(said.contains(text), "no {text:?} in {said:?}");
    }
}

fn alone_and_as_two(name: &str, client: &[&str], expected: &[&str]) {
    let directory = tempfile::tempdir().expect("a directory for names");
    says(example(name, &directory), expected);
    let _server = Server(
        example(name, &directory)
            .arg("server")
            .spawn()
            .expect("it starts"),
    );
    let mut command = example(name, &directory);
    command.arg("client").args(client);
    says(command, expected);
}

#[test]
fn the_http_example_runs() {
    alone_and_as_two(
        "http",
        &["/hello"],
        &["200 OK", "you have asked for /hello"],
    );
}

#[test]
fn the_axum_example_runs() {
    alone_and_as_two("axum", &["/hello/Ada"], &["200 OK", "hello, Ada"]);
}

#[test]
fn the_grpc_example_runs() {
    alone_and_as_two(
        "grpc",
        &["Ada", "Grace"],
        &["hello, Ada (process ", "hello, Grace (process "],
    );
}
