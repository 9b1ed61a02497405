//! One of the small tables that a table is made of: how an entry is found by its key.
//! Deliberately not here: the lock around it.

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry as Place, OccupiedEntry};

use super::super::Digest;
use super::entry::Entry;

/// A small table.
#[derive(Debug, Default)]
pub(super) struct Shard(HashTable<Entry>);

impl Shard {
    pub(super) fn find(&self, key: &Digest) -> Option<&Entry> {
        self.0.find(key.first_eight(), |known| known.key == *key)
    }

    pub(super) fn find_mut(&mut self, key: &Digest) -> Option<&mut Entry> {
        self.0.find_mut(key.first_eight(), |known| known.key == *key)
    }

    /// The place of this key, if something is there: so that it can be taken out.
    pub(super) fn taken(&mut self, key: &Digest) -> Option<OccupiedEntry<'_, Entry>> {
        self.0.find_entry(key.first_eight(), |known| known.key == *key).ok()
    }

    /// The place of this key, whether something is there or not.
    pub(super) fn place(&mut self, key: &Digest) -> Place<'_, Entry> {
        let hash = |known: &Entry| known.key.first_eight();
        self.0.entry(key.first_eight(), |known| known.key == *key, hash)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// Those whose keys begin like this; mostly one.
    pub(super) fn beginning_with(&self, first_eight: u64) -> impl Iterator<Item = &Entry> {
        let alike = self.0.iter_hash(first_eight);
        alike.filter(move |known| known.key.first_eight() == first_eight)
    }
}
