//! What has to be compared across entries, each in eight bytes: two that are equal there need a closer look.

use std::hash::{BuildHasher as _, RandomState};

/// So many bits there are for each thing that is compared: few things that differ meet in one.
const BITS_EACH: usize = 16;

/// What some entries have that no other may have.
#[derive(Debug, Default)]
pub(super) struct Marks {
    ids: Vec<u64>,
    /// The first quarter of a digest, and the size of the file.
    sizes: Vec<(u64, u64)>,
}

impl Marks {
    /// Takes note of an entry's id, and of the digests and sizes of its files.
    pub(super) fn add<'t>(
        &mut self,
        id: Option<&str>,
        files: impl Iterator<Item = (Option<&'t str>, Option<&'t str>)>,
        seed: &RandomState,
    ) -> Option<()> {
        self.ids.push(seed.hash_one(id?));
        for (digest, size) in files {
            let digest = u64::from_str_radix(digest?.get(..16)?, 16).ok()?;
            self.sizes.push((digest, size?.parse().ok()?));
        }
        Some(())
    }
}

/// Says that no id stands twice and that no digest has two sizes. If it does not say so, that may still hold.
pub(super) fn surely_agree(marks: &[Marks]) -> bool {
    let ids = marks.iter().flat_map(|it| &it.ids).map(|it| (*it, 0));
    let sizes = marks.iter().flat_map(|it| &it.sizes).copied();
    meeting(sizes).windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1)
        && meeting(ids).windows(2).all(|pair| pair[0].0 != pair[1].0)
}

/// Returns in order those of which another one may have the same first half: all that have it, and a few more.
fn meeting(all: impl Iterator<Item = (u64, u64)> + Clone) -> Vec<(u64, u64)> {
    let bits = (all.clone().count() * BITS_EACH).next_power_of_two().max(64);
    // The upper bits, since those of a digest are as good as any.
    let place = |it: &(u64, u64)| {
        let bit = it.0 >> (u64::BITS - bits.trailing_zeros());
        (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
    };
    let (mut met, mut met_again) = (vec![0_u64; bits / 64], vec![0_u64; bits / 64]);
    for it in all.clone() {
        let (word, bit) = place(&it);
        met_again[word] |= met[word] & bit;
        met[word] |= bit;
    }
    let mut meeting = all.filter(|it| met_again[place(it).0] & place(it).1 != 0).collect::<Vec<_>>();
    meeting.sort_unstable();
    meeting
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_of_a_kind_are_found_wherever_they_stand(
            ids in proptest::collection::vec(0..40_u64, 0..12),
            sizes in proptest::collection::vec((0..20_u64, 0..2_u64), 0..12),
            cut in 0..12_usize,
            spread: bool,
        ) {
            // Near each other all of them meet in a few bits.
            let far: u64 = if spread { 0x9E37_79B9_7F4A_7C15 } else { 1 };
            let ids = ids.into_iter().map(|it| far.wrapping_mul(it)).collect::<Vec<u64>>();
            let sizes = sizes.into_iter().map(|(digest, size)| (far.wrapping_mul(digest), size)).collect::<Vec<_>>();
            let twice = ids.iter().enumerate().any(|(at, it)| ids[..at].contains(it));
            let differ = sizes.iter().any(|one| sizes.iter().any(|it| it.0 == one.0 && it.1 != one.1));
            let (ids, sizes) = (ids.split_at(cut.min(ids.len())), sizes.split_at(cut.min(sizes.len())));
            let marks = [
                Marks { ids: ids.0.to_vec(), sizes: sizes.0.to_vec() },
                Marks { ids: ids.1.to_vec(), sizes: sizes.1.to_vec() },
            ];
            prop_assert_eq!(surely_agree(&marks), !twice && !differ);
        }
    }
}
