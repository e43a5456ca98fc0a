//! Names of this host and of its users.

use std::collections::HashMap;
use std::path::Path;

/// The name of this host.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of the user that this process runs as.
pub(crate) fn username() -> String {
    let uid = rustix::process::getuid().as_raw();
    Names::users().get(uid)
}

/// Names by number.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<u32, String>);

impl Names {
    pub(crate) fn users() -> Self {
        Self::read(Path::new("/etc/passwd"))
    }

    pub(crate) fn groups() -> Self {
        Self::read(Path::new("/etc/group"))
    }

    /// Reads lines of `name:password:number:…`. Without the file there are numbers only, which suffice.
    fn read(path: &Path) -> Self {
        Self::parse(&std::fs::read(path).unwrap_or_default())
    }

    fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let entry = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let number = fields.nth(1)?.parse().ok()?;
            Some((number, name))
        };
        // The first of several names of a number counts.
        let mut names = HashMap::new();
        text.lines().filter_map(entry).for_each(|(number, name)| {
            names.entry(number).or_insert(name);
        });
        Self(names)
    }

    /// The name; empty if there is none.
    pub(crate) fn get(&self, number: u32) -> String {
        self.0.get(&number).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts() {
        let names =
            Names::parse(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nbad\nworse:x:y\nmail:x:8:8:mail\n");
        assert_eq!(names.get(0), "root");
        assert_eq!(names.get(8), "mail");
        assert_eq!(names.get(9), "");
    }
}
