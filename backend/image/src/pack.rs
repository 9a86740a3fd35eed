//! Trees written as compressed streams, the same bytes for the same tree.

use crate::archive::Bounds;
use crate::error::{At, Error};
use crate::manifest::Compression;
use crate::tree::{Kind, Node, Tree};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Zstandard's level for streams: beyond it time grows faster than streams shrink.
pub(crate) const ZSTD_LEVEL: i32 = 9;
pub(crate) const XZ_LEVEL: u32 = 6;

/// Writes a tree as a compressed stream, the same bytes for the same tree; what it unpacks to.
///
/// # Errors
/// Where there is no room.
pub fn pack(tree: &Tree, to: &Path, compression: Compression) -> Result<Bounds, Error> {
    let file = crate::replicate::create(to)?;
    match compression {
        Compression::None => write(tree, file).map(|(bounds, _)| bounds),
        Compression::Zstd => {
            let encoder = zstd::Encoder::new(file, ZSTD_LEVEL).at(to)?;
            let (bounds, encoder) = write(tree, encoder)?;
            encoder.finish().at(to)?;
            Ok(bounds)
        }
        Compression::Xz => {
            let encoder = liblzma::write::XzEncoder::new(file, XZ_LEVEL);
            let (bounds, encoder) = write(tree, encoder)?;
            encoder.finish().at(to)?;
            Ok(bounds)
        }
    }
}

fn write<W: Write>(tree: &Tree, stream: W) -> Result<(Bounds, W), Error> {
    let at = Path::new("stream");
    let mut counted = Counted { stream, bytes: 0 };
    let mut builder = tar::Builder::new(&mut counted);
    let mut first_names = BTreeMap::new();
    let mut links = BTreeMap::new();
    let mut entries = 0;
    for (path, node) in tree.nodes() {
        // Links come last, so that nothing lies beneath one.
        if let Kind::Link { target } = &node.kind {
            links.insert(path, (node, target));
            continue;
        }
        entries += 1;
        let name = &path[1..];
        let mut header = header(node);
        match &node.kind {
            Kind::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder
                    .append_data(&mut header, format!("{name}/"), std::io::empty())
                    .at(at)?;
            }
            Kind::File { spooled, bytes } => match first_names.get(spooled) {
                Some(first) => {
                    header.set_entry_type(tar::EntryType::Link);
                    header.set_size(0);
                    builder.append_link(&mut header, name, first).at(at)?;
                }
                None => {
                    first_names.insert(*spooled, name);
                    attributes(&mut builder, node)?;
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_size(*bytes);
                    let content = tree.content(*spooled);
                    let content = File::open(&content).at(&content)?;
                    builder
                        .append_data(&mut header, name, content.take(*bytes))
                        .at(at)?;
                }
            },
            Kind::Link { .. } => {}
        }
    }
    for (path, (node, target)) in links {
        entries += 1;
        let mut header = header(node);
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder
            .append_link(&mut header, &path[1..], target)
            .at(at)?;
    }
    builder.finish().at(at)?;
    drop(builder);
    Ok((
        Bounds {
            entries,
            bytes: counted.bytes,
        },
        counted.stream,
    ))
}

fn attributes<W: Write>(builder: &mut tar::Builder<W>, node: &Node) -> Result<(), Error> {
    if node.attributes.is_empty() {
        return Ok(());
    }
    let named: Vec<(String, &[u8])> = node
        .attributes
        .iter()
        .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()))
        .collect();
    let named = named.iter().map(|(name, value)| (name.as_str(), *value));
    builder.append_pax_extensions(named).at(Path::new("stream"))
}

fn header(node: &Node) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(node.access.mode);
    header.set_uid(node.access.uid.into());
    header.set_gid(node.access.gid.into());
    header.set_mtime(node.changed_seconds);
    header
}

/// A stream that knows how much has gone through it.
struct Counted<W> {
    stream: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let many = self.stream.write(bytes)?;
        self.bytes += many as u64;
        Ok(many)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}
