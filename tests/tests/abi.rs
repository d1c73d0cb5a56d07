//! What a policy comes to in the maps, held against what it came to before: where the ABI is the same, a program that is put in
//! the place of another one judges by what was written for that.

use std::mem::offset_of;

use bytemuck::{bytes_of, cast_slice};
use filter_common::{
    ABI_VERSION,
    tables::{Policies, Slot},
};
use filter_user::policy::{HostIndex, IndexRoom};
use sha2::{Digest as _, Sha256};
use tests::judge::fixture_policy;

/// The ABI, and the sum of a policy's tables and index and of where they lie.
const RECORDED: (u32, &str) = (11, "71994fec4b7b0154abb2ec7bc42930b60d4e91b76baf538dfce3836f9b7c4f15");

#[test]
fn what_a_policy_comes_to_in_the_maps_is_recorded_for_its_abi() {
    // So many that the filter has blocks; some that nest and some that stand alone.
    let dense =
        (0..33_000_u32).map(|number| format!("20.{}.{}.{}/31", number >> 14, number >> 7 & 127, (number & 127) << 1));
    let alone =
        (0..400_u32).flat_map(|number| [format!("30.{}.7.0/24", number % 256), format!("2a00:{number:x}:7::/48")]);
    let nested = ["30.0.0.0/12", "30.1.7.9/32", "2a00::/16", "2a00:1:7:9::/64"].map(str::to_owned);
    let prefixes: Vec<_> = dense.chain(alone).chain(nested).map(|prefix| format!("{prefix:?}")).collect();
    let allow = format!("[[allow]]\nname = \"many\"\nfrom = [{}]\nudp = [7000]\n\n[[deny]]", prefixes.join(", "));
    let policy = fixture_policy(&[("[[deny]]", &allow)]).expect("a policy");
    let HostIndex { form, roots, blocks, nodes, runs } = HostIndex::new(&policy.sources, IndexRoom::MOST);
    assert!(form.blocks.is_some() && !nodes.is_empty() && !runs.is_empty(), "there is something of each kind");
    let alone: Vec<_> = policy.sources.iter().copied().filter(|(prefix, _)| prefix.prefix_len() == 24).collect();
    let few = HostIndex::new(&alone, IndexRoom::MOST);
    assert!(few.roots.near_runs.iter().any(|run| run.bits != 0), "some stand beside the roots");
    let places = [
        offset_of!(Policies, slots),
        offset_of!(Slot, form),
        offset_of!(Slot, tables),
        offset_of!(Slot, roots),
        size_of::<Slot>(),
    ];
    let sum = [
        cast_slice(&places),
        bytes_of(&*policy.tables),
        bytes_of(&form),
        bytes_of(&*roots),
        cast_slice(&blocks),
        cast_slice(&nodes),
        cast_slice(&runs),
        bytes_of(&*few.roots),
    ];
    let sum = Sha256::digest(sum.concat());
    assert_eq!(
        (ABI_VERSION, format!("{sum:x}").as_str()),
        RECORDED,
        "if programs of this ABI still find in these maps what they look for, record the new sum; else raise the ABI too"
    );
}
