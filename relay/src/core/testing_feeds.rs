//! Test support: a feed with sessions of its readers and writers, and objects that its entries name.

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, FeedKind, Role, object_put};

use super::testing::{Client, Net, assert_done};

/// A feed, with a session of a reader and one of a writer.
pub(super) struct Feed {
    pub(super) read: ObjectSecretKey,
    pub(super) write: ObjectSecretKey,
    pub(super) reader: Client,
    pub(super) writer: Client,
}

impl Feed {
    /// Made at the first relay.
    pub(super) fn new(net: &mut Net, kind: FeedKind) -> Self {
        let (read, write) = (net.key(), net.key());
        let mut reader = net.session(0);
        let create = feed_create(&write.public_key(), kind);
        assert_done(&net.ask(&mut reader, Some((Role::FeedRead, &read)), create));
        let writer = net.session(0);
        Self { read, write, reader, writer }
    }

    pub(super) fn group(net: &mut Net) -> Self {
        Self::new(net, FeedKind::Group)
    }

    /// New sessions: those from before time passed have ended.
    pub(super) fn again(&mut self, net: &mut Net) {
        (self.reader, self.writer) = (net.session(0), net.session(0));
    }

    /// A session of one more reader.
    pub(super) fn another_reader(net: &mut Net) -> Client {
        net.session(0)
    }

    pub(super) fn send_put(&mut self, net: &mut Net, blob: &Blob) {
        let key = Some((Role::FeedWrite, &self.write));
        net.send(&mut self.writer, key, feed_put(blob, false), Some(blob));
    }

    pub(super) fn put(&mut self, net: &mut Net, blob: &Blob) -> Say {
        self.send_put(net, blob);
        net.settle();
        net.reply(&mut self.writer).0
    }

    /// Puts so many entries.
    pub(super) fn fill(&mut self, net: &mut Net, entries: usize) -> Vec<Blob> {
        let blobs: Vec<_> = (0..entries).map(|_| net.blob()).collect();
        blobs.iter().for_each(|blob| assert_done(&self.put(net, blob)));
        blobs
    }

    /// What the reader gets, or why not.
    pub(super) fn get(
        &mut self,
        net: &mut Net,
        after: u64,
        max: u32,
    ) -> Result<Vec<(u64, Blob)>, wire::Reason> {
        let key = Some((Role::FeedRead, &self.read));
        net.send(&mut self.reader, key, feed_get(after, max), None);
        net.settle();
        let mut got = Vec::new();
        let mut refused = None;
        for _ in 0..max {
            match net.reply(&mut self.reader) {
                (Say::Delivery(delivery), Some(blob)) => got.push((delivery.position, blob)),
                (Say::Refused(reason), None) => refused = Some(reason.reason()),
                (Say::Empty(_), None) => {}
                (other, _) => panic!("{other:?}"),
            }
        }
        refused.map_or(Ok(got), Err)
    }

    /// The entries from the start on.
    pub(super) fn entries(&mut self, net: &mut Net) -> Vec<Blob> {
        self.get(net, 0, 16).unwrap().into_iter().map(|(_, blob)| blob).collect()
    }
}

/// An object and a session of its writer, in which an entry may name it.
pub(super) struct Object {
    pub(super) key: ObjectSecretKey,
    pub(super) chunks: Vec<Blob>,
    pub(super) client: Client,
    ttl_hours: u32,
}

impl Object {
    /// Declared, and nothing more.
    pub(super) fn declared(net: &mut Net, chunks: usize, ttl_hours: u32) -> Self {
        let chunks = (0..chunks).map(|_| net.blob()).collect();
        let (key, client) = (net.key(), net.session(0));
        let mut object = Self { key, chunks, client, ttl_hours };
        let declare = object.declare();
        assert_done(&net.ask(&mut object.client, Some((Role::Write, &object.key)), declare));
        object
    }

    pub(super) fn complete(net: &mut Net, chunks: usize, ttl_hours: u32) -> Self {
        let mut object = Self::declared(net, chunks, ttl_hours);
        (0..chunks).for_each(|index| assert_done(&object.put_chunk(net, index)));
        object
    }

    pub(super) fn put_chunk(&mut self, net: &mut Net, index: usize) -> Say {
        let blob = &self.chunks[index];
        let chunk = wire::ObjectChunk { index: u32::try_from(index).unwrap() };
        let step = Some(object_put::Step::Chunk(chunk));
        let put = Ask::ObjectPut(wire::ObjectPut { step });
        net.send(&mut self.client, Some((Role::Write, &self.key)), put, Some(blob));
        net.settle();
        net.reply(&mut self.client).0
    }

    /// A new session, in which the key is proven by the same declaration.
    pub(super) fn again(&mut self, net: &mut Net) -> Say {
        self.client = net.session(0);
        let declare = self.declare();
        net.ask(&mut self.client, Some((Role::Write, &self.key)), declare)
    }

    /// Puts an entry that names it, in its own session.
    pub(super) fn name(&mut self, net: &mut Net, feed: &Feed, blob: &Blob) -> Say {
        let key = Some((Role::FeedWrite, &feed.write));
        net.send(&mut self.client, key, feed_put(blob, true), Some(blob));
        net.settle();
        net.reply(&mut self.client).0
    }

    pub(super) fn delete(&mut self, net: &mut Net) -> Say {
        let delete = Ask::Delete(wire::Delete { role: Role::Write.into() });
        net.ask(&mut self.client, Some((Role::Write, &self.key)), delete)
    }

    /// Whether somebody who knows its id reads it whole.
    pub(super) fn is_readable(&self, net: &mut Net) -> bool {
        let mut client = net.session(0);
        let id = super::request::id_of(Role::Write, &self.key.public_key());
        let mut read = Vec::new();
        for first in 0..u32::try_from(self.chunks.len()).unwrap() {
            let get = wire::ObjectGet { object_id: id.to_vec(), first, max: 1 };
            net.send(&mut client, None, Ask::ObjectGet(get), None);
            net.settle();
            match net.reply(&mut client) {
                (Say::Chunk(_), Some(blob)) => read.push(blob),
                (Say::Refused(_), _) => return false,
                (other, _) => panic!("{other:?}"),
            }
        }
        read == self.chunks
    }

    fn declare(&self) -> Ask {
        let mut root = Root::new();
        self.chunks.iter().for_each(|chunk| root.push(&chunk_hash(chunk)));
        let declaration = wire::ObjectDeclaration {
            chunks: u32::try_from(self.chunks.len()).unwrap(),
            root: root.finish().to_vec(),
            ttl_hours: self.ttl_hours,
            proof_of_work: 0,
        };
        let step = Some(object_put::Step::Declaration(declaration));
        Ask::ObjectPut(wire::ObjectPut { step })
    }
}

pub(super) fn feed_create(write: &[u8; 32], kind: FeedKind) -> Ask {
    Ask::FeedCreate(wire::FeedCreate {
        write_public_key: write.to_vec(),
        kind: kind.into(),
        proof_of_work: 0,
    })
}

pub(super) fn feed_put(blob: &Blob, names_object: bool) -> Ask {
    Ask::FeedPut(wire::FeedPut { put_id: blob.put_id().as_bytes().to_vec(), names_object })
}

pub(super) fn feed_get(after: u64, max: u32) -> Ask {
    Ask::FeedGet(wire::FeedGet { after, max })
}

pub(super) fn feed_delete() -> Ask {
    Ask::FeedDelete(wire::FeedDelete {})
}

pub(super) fn feed_watch(after: u64) -> Ask {
    Ask::Watch(wire::Watch { after, feed: true })
}

pub(super) fn feed_ack(cursor: u64) -> Ask {
    Ask::Ack(wire::Ack { cursor, feed: true })
}
