//! `snapshots`, `ls`, `find`, `diff` and `stats`: what is there.

use buttress_backup::{Change, Changed, Entry, NodeKind};
use serde_json::{Value as Json, json};

use crate::Failed;
use crate::args::{Common, Diff, Find, Ls, Snapshots};
use crate::place::open;
use crate::show;

pub(crate) async fn snapshots(common: &Common, which: &Snapshots) -> Result<(), Failed> {
    let mut snapshots = which.filter.of(&open(common).await?).await?;
    if let Some(last) = which.last {
        drop(snapshots.drain(..snapshots.len().saturating_sub(last)));
    }
    let rows: Vec<_> = snapshots
        .iter()
        .map(|snapshot| {
            let size = snapshot.summary.as_ref().map(|summary| show::size(summary.total_bytes_processed));
            [
                snapshot.id.short(),
                show::time(snapshot.time),
                show::clean(&snapshot.hostname),
                size.unwrap_or_else(|| "-".to_owned()),
                show::clean(&snapshot.tags.join(", ")),
                show::clean(&snapshot.paths.join(", ")),
            ]
        })
        .collect();
    let text = if rows.is_empty() {
        "there are no snapshots yet, or none that fits; `backup run PATH` makes one\n".to_owned()
    } else {
        show::table(["ID", "TIME", "HOST", ">SIZE", "TAGS", "PATHS"], &rows)
            + &format!("\n{}\n", show::count(rows.len() as u64, "snapshot"))
    };
    show::answer(common, &text, &snapshots.iter().map(show::snapshot).collect())
}

/// The columns of an entry.
const COLUMNS: [&str; 5] = ["MODE", "OWNER", ">SIZE", "TIME", "PATH"];

fn row(Entry { path, node }: &Entry) -> [String; 5] {
    let name = |name: &str, number: u32| if name.is_empty() { number.to_string() } else { show::clean(name) };
    let mut path = show::path(path);
    match node.kind {
        NodeKind::Dir => path.push('/'),
        NodeKind::Symlink => {
            path.extend([format!(" -> {}", show::clean(&node.link_target().to_string_lossy()))]);
        }
        _ => {}
    }
    let size = if node.kind == NodeKind::File { show::size(node.size) } else { "-".to_owned() };
    let owner = format!("{}:{}", name(&node.user, node.uid), name(&node.group, node.gid));
    [show::mode(node), owner, size, show::time(node.mtime), path]
}

fn document(Entry { path, node }: &Entry) -> Json {
    json!({
        "path": path.to_string_lossy(),
        "type": node.kind,
        "permissions": format!("{:o}", node.permissions()),
        "size": node.size,
        "mtime": node.mtime,
        "uid": node.uid,
        "gid": node.gid,
        "user": node.user,
        "group": node.group,
        "target": (node.kind == NodeKind::Symlink).then(|| node.link_target().to_string_lossy().into_owned()),
    })
}

pub(crate) async fn ls(common: &Common, what: &Ls) -> Result<(), Failed> {
    let repository = open(common).await?;
    let snapshot = repository.snapshot(&what.snapshot).await?;
    let entries = repository.list(&snapshot, &what.path, what.deep).await?;
    let rows: Vec<_> = entries.iter().map(row).collect();
    show::answer(common, &show::table(COLUMNS, &rows), &entries.iter().map(document).collect())
}

pub(crate) async fn find(common: &Common, what: &Find) -> Result<(), Failed> {
    let repository = open(common).await?;
    let snapshots = what.filter.of(&repository).await?;
    let found = repository.find(&what.pattern, &snapshots).await?;
    let rows: Vec<_> = found
        .iter()
        .map(|found| {
            let [mode, _, size, time, path] = row(&found.entry);
            [found.snapshot.short(), mode, size, time, path]
        })
        .collect();
    let text = if rows.is_empty() {
        format!("nothing in {} fits\n", show::count(snapshots.len() as u64, "snapshot"))
    } else {
        show::table(["SNAPSHOT", "MODE", ">SIZE", "TIME", "PATH"], &rows)
    };
    let documents = found.iter().map(|found| {
        let mut document = document(&found.entry);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("snapshot".to_owned(), json!(found.snapshot));
        }
        document
    });
    show::answer(common, &text, &documents.collect())
}

pub(crate) async fn diff(common: &Common, which: &Diff) -> Result<(), Failed> {
    let repository = open(common).await?;
    let before = repository.snapshot(&which.before).await?;
    let after = repository.snapshot(&which.after).await?;
    let mut there = repository.diff(&before, &after).await?;
    if !which.metadata {
        there.entries.retain(|entry| entry.change != Change::Metadata);
    }
    let rows: Vec<_> = there.entries.iter().map(changed).collect();
    let mut text =
        if rows.is_empty() { String::new() } else { show::table(["", ">SIZE", "PATH"], &rows) + "\n" };
    let counts = [
        (Change::Added, "added"),
        (Change::Removed, "removed"),
        (Change::Content, "changed"),
        (Change::Kind, "of another kind"),
        (Change::Metadata, "with other metadata"),
    ];
    let counts = counts.map(|(change, word)| (there.count(change), word)).into_iter();
    let counts: Vec<_> =
        counts.filter(|(many, _)| *many > 0).map(|(many, word)| format!("{many} {word}")).collect();
    if counts.is_empty() {
        text.push_str("nothing differs\n");
    } else {
        let (added, removed) = (show::size(there.bytes_added), show::size(there.bytes_removed));
        text.extend([format!("{}; {added} of new content, {removed} gone\n", counts.join(", "))]);
    }
    let entries = there.entries.iter().map(|entry| {
        json!({
            "path": entry.path.to_string_lossy(), "change": entry.change, "type": entry.kind,
            "bytes_before": entry.bytes_before, "bytes_after": entry.bytes_after,
        })
    });
    let document = json!({
        "before": before.id, "after": after.id, "entries": entries.collect::<Vec<_>>(),
        "bytes_added": there.bytes_added, "bytes_removed": there.bytes_removed,
    });
    show::answer(common, &text, &document)
}

fn changed(entry: &Changed) -> [String; 3] {
    let (sign, bytes) = match entry.change {
        Change::Added => ("+", entry.bytes_after),
        Change::Removed => ("-", entry.bytes_before),
        Change::Content => ("M", entry.bytes_after),
        Change::Kind => ("T", entry.bytes_after),
        _ => ("U", entry.bytes_after),
    };
    let folder = entry.kind == NodeKind::Dir;
    let size = if folder { String::new() } else { show::size(bytes) };
    [sign.to_owned(), size, show::path(&entry.path) + if folder { "/" } else { "" }]
}

pub(crate) async fn stats(common: &Common) -> Result<(), Failed> {
    let repository = open(common).await?;
    let stats = repository.stats().await?;
    let rows = [
        ("snapshots", stats.snapshots.to_string()),
        ("content", format!("{} in {}", show::size(stats.bytes), show::count(stats.data_blobs, "blob"))),
        ("folders", format!("{} in {}", show::size(stats.tree_bytes), show::count(stats.tree_blobs, "blob"))),
        ("packs", format!("{} in {}", show::size(stats.pack_bytes), show::count(stats.packs, "object"))),
        ("indexes", format!("{} in {}", show::size(stats.index_bytes), show::count(stats.indexes, "object"))),
    ];
    let text: String = rows.map(|(name, value)| format!("{name:9}  {value}\n")).concat();
    show::answer(common, &text, &json!(stats))
}
