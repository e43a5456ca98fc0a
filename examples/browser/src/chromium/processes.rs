//! Process groups, as `/proc` shows them.

use std::fs;
use std::path::{Path, PathBuf};

use buttress_core::ByteSize;
use rustix::process::{Pid, Signal, kill_process_group};

/// A process of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its number.
    pub pid: i32,
    /// The number of its group.
    pub group: i32,
    /// When it began, in clock ticks since the machine started. With `pid` it names a process for good.
    pub started: u64,
}

/// Every process that has not ended, read once. A process that has ended and waits for its parent does not count.
fn all() -> impl Iterator<Item = Member> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| process(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// The process with this number, unless it has ended.
#[must_use]
pub fn process(pid: i32) -> Option<Member> {
    parse(&fs::read_to_string(folder(pid).join("stat")).ok()?)
}

/// The processes of a group that have not ended.
#[must_use]
pub fn members(group: i32) -> Vec<Member> {
    all().filter(|process| process.group == group).collect()
}

/// Processes that were started with exactly this argument.
pub(super) fn with_argument(argument: &str) -> Vec<Member> {
    all()
        .filter(|process| {
            arguments(process.pid).split(|byte| *byte == 0).any(|arg| arg == argument.as_bytes())
        })
        .collect()
}

/// What a group holds in memory: the sum of its processes' proportional set sizes, so that pages shared between
/// them count once. 0 when the group is gone or may not be looked at.
#[must_use]
pub fn memory(group: i32) -> ByteSize {
    let sizes = members(group).into_iter().filter_map(|member| {
        let text = fs::read_to_string(folder(member.pid).join("smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    });
    ByteSize::kib(sizes.sum())
}

/// `kill -9` for a whole group. A group that has ended is left alone.
pub(super) fn kill(group: i32) {
    // 0 and 1 would mean our own group and everybody.
    if group > 1
        && let Some(group) = Pid::from_raw(group)
    {
        let _already_gone = kill_process_group(group, Signal::KILL);
    }
}

/// The running system's name; another one has other processes under the same numbers.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A process's executable.
pub(super) fn executable(pid: i32) -> Option<PathBuf> {
    fs::read_link(folder(pid).join("exe")).ok()
}

fn arguments(pid: i32) -> Vec<u8> {
    fs::read(folder(pid).join("cmdline")).unwrap_or_default()
}

fn folder(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// Reads `/proc/PID/stat`. The second field is the program's name in parentheses, which may hold anything.
fn parse(stat: &str) -> Option<Member> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let group = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some(Member { pid, group, started })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str =
        "4242 (a) R (b c) S 1 4200 8062 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 7 0 3903665 1000 100";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(parse(STAT), Some(Member { pid: 4242, group: 4200, started: 3_903_665 }));
        assert_eq!(parse(&STAT.replace(") S ", ") Z ")), None);
    }

    #[test]
    fn this_process_is_a_member_of_its_group() {
        let id = i32::try_from(std::process::id()).unwrap();
        let own = process(id).unwrap();
        assert!(members(own.group).contains(&own));
        assert!(memory(own.group) > ByteSize::kib(100));
        assert!(executable(id).is_some() && !boot().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_text_reads_or_does_not(text in ".{0,80}", cut in 0..STAT.len()) {
            let _ = parse(&text);
            prop_assert!(parse(&STAT[..cut]).is_none_or(|member| member.pid == 4242));
        }
    }
}
