//! What a listener binds and a stream connects to: a [`Name`].

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The most bytes that a name has (a path may be longer).
const LONGEST: usize = 64;

/// Who can see a name.
///
/// # Examples
///
/// ```
/// use slipring::{Name, Scope};
///
/// assert_eq!(Name::parse("clock")?.scope(), Scope::Local);
/// assert_eq!(Name::parse("Global/clock")?.scope(), Scope::Global);
/// assert_eq!(Name::parse("/srv/clock.sock")?.scope(), Scope::Path);
/// # Ok::<(), slipring::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This user only.
    Local,
    /// Every user of the machine.
    Global,
    /// A path, wherever it leads.
    Path,
}

/// What a listener binds and a stream connects to.
///
/// `NAME` and `Local/NAME` are the same name, of this user; `Global/NAME` is one of the whole
/// machine. A backslash may stand for the slash. `NAME` is 1 to 64 bytes of `A-Z a-z 0-9 . _ -` and
/// does not begin with a dot. An absolute path is a name too, as it is spelled: `/a/b` and `/a//b`
/// are different names.
///
/// It is displayed in its one canonical spelling, with a slash and the scope. (A path that is not
/// UTF-8 is displayed with replacement characters.)
///
/// # Examples
///
/// ```
/// use slipring::{Name, Scope};
///
/// let name: Name = r"Global\clock".parse()?;
/// assert_eq!(name.scope(), Scope::Global);
/// assert_eq!(name.to_string(), "Global/clock");
/// assert!(Name::try_from("no/scope").is_err());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Local(String),
    Global(String),
    Path(OsString),
}

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] says what is wrong with it.
    pub fn parse(name: impl AsRef<OsStr>) -> Result<Name> {
        let name = name.as_ref();
        parse(name).map(Name).map_err(|why| Error::InvalidName {
            name: shortened(name),
            why,
        })
    }

    /// Who can see it.
    pub fn scope(&self) -> Scope {
        match self.0 {
            Kind::Local(_) => Scope::Local,
            Kind::Global(_) => Scope::Global,
            Kind::Path(_) => Scope::Path,
        }
    }

    /// The name without its scope, or the path.
    pub(crate) fn bare(&self) -> &OsStr {
        match &self.0 {
            Kind::Local(bare) | Kind::Global(bare) => bare.as_ref(),
            Kind::Path(path) => path,
        }
    }
}

/// As [`Name::parse`].
impl FromStr for Name {
    type Err = Error;

    fn from_str(name: &str) -> Result<Name> {
        Name::parse(name)
    }
}

/// As [`Name::parse`].
impl TryFrom<&str> for Name {
    type Error = Error;

    fn try_from(name: &str) -> Result<Name> {
        Name::parse(name)
    }
}

/// As [`Name::parse`].
impl TryFrom<&OsStr> for Name {
    type Error = Error;

    fn try_from(name: &OsStr) -> Result<Name> {
        Name::parse(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Local(bare) => write!(f, "Local/{bare}"),
            Kind::Global(bare) => write!(f, "Global/{bare}"),
            Kind::Path(path) => write!(f, "{}", Path::new(path).display()),
        }
    }
}

fn parse(name: &OsStr) -> std::result::Result<Kind, &'static str> {
    let bytes = name.as_bytes();
    if bytes.starts_with(b"/") {
        return check_path(bytes).map(|()| Kind::Path(name.to_owned()));
    }
    for prefix in [b"Local/", b"Local\\"] {
        if let Some(bare) = bytes.strip_prefix(prefix) {
            return check_bare(bare).map(Kind::Local);
        }
    }
    for prefix in [b"Global/", b"Global\\"] {
        if let Some(bare) = bytes.strip_prefix(prefix) {
            return check_bare(bare).map(Kind::Global);
        }
    }
    check_bare(bytes).map(Kind::Local)
}

fn check_bare(bare: &[u8]) -> std::result::Result<String, &'static str> {
    if bare.is_empty() {
        return Err("it is empty");
    }
    if bare.contains(&b'/') || bare.contains(&b'\\') {
        return Err(
            "it has a slash, but does not begin with Local/ or Global/ (spelled so), and is no \
                absolute path",
        );
    }
    if bare.starts_with(b".") {
        return Err("it begins with a dot");
    }
    if !bare
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    {
        return Err("it has a character other than A-Z a-z 0-9 . _ -");
    }
    if bare.len() > LONGEST {
        return Err("it is longer than 64 bytes");
    }
    // ASCII, as was just seen; so nothing is replaced.
    Ok(String::from_utf8_lossy(bare).into_owned())
}

fn check_path(path: &[u8]) -> std::result::Result<(), &'static str> {
    if path.contains(&0) {
        return Err("the path has a NUL byte");
    }
    match path.rsplit(|byte| *byte == b'/').next() {
        None | Some(b"") => Err("the path ends in a slash, so it names no file"),
        Some(b"." | b"..") => Err("the path ends in a dot directory, so it names no file"),
        Some(_) => Ok(()),
    }
}

/// For the text of an error: enough of the name to recognise it.
fn shortened(name: &OsStr) -> String {
    const ENOUGH: usize = 200;
    let bytes = name.as_bytes();
    match bytes.get(..ENOUGH) {
        Some(start) if bytes.len() > ENOUGH => String::from_utf8_lossy(start).into_owned() + "...",
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn why(text: impl AsRef<OsStr>) -> &'static str {
        match Name::parse(text) {
            Err(Error::InvalidName { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn spellings_of_one_name_are_equal() {
        let local: HashSet<Name> = ["x", "Local/x", r"Local\x"].map(name).into();
        let global: HashSet<Name> = ["Global/x", r"Global\x"].map(name).into();
        assert_eq!((local.len(), global.len()), (1, 1));
        assert_ne!(name("x"), name("Global/x"));
        assert_ne!(name("x"), name("X"));
        assert_ne!(name("/x"), name("x"));
    }

    #[test]
    fn a_name_is_displayed_in_its_canonical_spelling() {
        for (given, shown, scope, bare) in [
            ("x", "Local/x", Scope::Local, "x"),
            (
                r"Local\a.b_c-D9",
                "Local/a.b_c-D9",
                Scope::Local,
                "a.b_c-D9",
            ),
            (r"Global\x", "Global/x", Scope::Global, "x"),
            ("Local", "Local/Local", Scope::Local, "Local"),
            ("/a/b c", "/a/b c", Scope::Path, "/a/b c"),
        ] {
            let name = name(given);
            assert_eq!(
                (name.to_string().as_str(), name.scope(), name.bare()),
                (shown, scope, OsStr::new(bare))
            );
        }
    }

    #[test]
    fn the_error_of_a_wrong_name_says_what_is_wrong() {
        for empty in ["", "Local/", r"Global\"] {
            assert_eq!(why(empty), "it is empty");
        }
        for slash in [
            "a/b",
            "local/x",
            "Local/a/b",
            r"a\b",
            "./x",
            "Local//x",
            "Session/x",
        ] {
            assert!(why(slash).starts_with("it has a slash"), "{slash}");
        }
        for dot in [".", "..", ".x", "Global/.x"] {
            assert_eq!(why(dot), "it begins with a dot");
        }
        for character in ["a b", "ä", "a\n", "a:b", "~", "a\0"] {
            assert!(
                why(character).starts_with("it has a character"),
                "{character:?}"
            );
        }
        assert!(why("/a\0b").contains("NUL"));
        assert!(why("/").contains("ends in a slash"));
        assert!(why("/a/").contains("ends in a slash"));
        assert!(why("/a/.").contains("dot directory"));
        assert!(why("/a/..").contains("dot directory"));
    }

    #[test]
    fn a_name_can_be_parsed_by_every_trait_for_it() {
        let parsed = name("Global/x");
        assert_eq!("Global/x".parse::<Name>().unwrap(), parsed);
        assert_eq!(Name::try_from("Global/x").unwrap(), parsed);
        assert_eq!(Name::try_from(OsStr::new("Global/x")).unwrap(), parsed);
        assert!("a/b".parse::<Name>().is_err());
        assert!(Name::try_from("a/b").is_err());
        assert!(Name::try_from(OsStr::new("a/b")).is_err());
    }

    #[test]
    fn a_name_has_64_bytes_at_most() {
        let longest = "n".repeat(64);
        name(&longest);
        name(&format!("Global/{longest}"));
        assert_eq!(why(longest + "n"), "it is longer than 64 bytes");
        name(&format!("/{}", "n".repeat(200)));
    }

    #[test]
    fn a_path_may_have_any_bytes() {
        let path = OsStr::from_bytes(b"/a/\xff\n");
        assert_eq!(Name::parse(path).unwrap().bare(), path);
    }

    #[test]
    fn the_error_of_a_very_long_name_does_not_repeat_it() {
        let error = Name::parse("x".repeat(1 << 20)).unwrap_err();
        assert!(error.to_string().len() < 500);
    }

    const NAMES: &str =
        r"(Local[/\\]|Global[/\\])?[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}|(/\PC{1,20}){1,4}";

    proptest! {
        #[test]
        fn a_displayed_name_is_the_same_name(text in NAMES) {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.to_string()).unwrap(), name);
            } else {
                prop_assert!(text.starts_with('/'), "{:?} is a good name", text);
            }
        }

        #[test]
        fn any_bytes_are_a_name_or_an_error(bytes: Vec<u8>) {
            if let Ok(name) = Name::parse(OsStr::from_bytes(&bytes)) {
                prop_assert!(!name.bare().is_empty() && !name.bare().as_bytes().contains(&0));
            }
        }

        #[test]
        fn nothing_but_a_path_leaves_its_directory(text in r"[A-Za-z0-9./\\_-]{0,12}") {
            if let Ok(name) = Name::parse(&text) && name.scope() != Scope::Path {
                let bare = name.bare().as_bytes();
                prop_assert!(!bare.contains(&b'/') && !bare.contains(&b'\\'));
                prop_assert!(!bare.starts_with(b"."));
            }
        }
    }
}
