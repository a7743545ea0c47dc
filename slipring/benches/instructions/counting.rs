//! Counting with callgrind, valgrind's simulator, which executes one instruction like any other.

use crate::paths::Path;
use std::env;
use std::error::Error;
use std::io::ErrorKind;
use std::process::Command;

/// Which copying function the C library takes depends on the processor. Without these it takes one
/// that every x86-64 has.
const SAME_COPY: &str =
    "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-ERMS,-FSRM,-SSSE3";

/// Instructions of one operation, rounded.
///
/// From a long run and a short one: the steps that both do alike, such as to begin, to make a
/// stream and to end, cancel out.
pub fn per_operation(path: &Path) -> Result<u64, Box<dyn Error>> {
    let short = path.long / 4;
    let more = in_all(path, path.long)?
        .checked_sub(in_all(path, short)?)
        .ok_or("a long run took fewer instructions than a short one")?;
    let operations = (path.long - short) as u64;
    Ok((more + operations / 2) / operations)
}

/// Instructions of a run, from its start to its end.
fn in_all(path: &Path, operations: usize) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["--run", path.name, &operations.to_string()])
        .env("GLIBC_TUNABLES", SAME_COPY)
        .output()
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                "valgrind is missing; on Debian: apt-get install valgrind".to_owned()
            }
            _ => format!("valgrind does not start: {e}"),
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    match count {
        Some(count) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("{} under valgrind: {}\n{said}", path.name, output.status).into()),
    }
}

/// The tools that the counts depend on beside the source: the compiler, and the C library, which
/// copies.
pub fn tools() -> Result<String, Box<dyn Error>> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    Ok([
        said(&rustc, "--version")?,
        said("getconf", "GNU_LIBC_VERSION")?,
    ]
    .join(", "))
}

fn said(program: &str, word: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program)
        .arg(word)
        .output()
        .map_err(|e| format!("{program} {word}: {e}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
