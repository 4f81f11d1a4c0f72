//! Commits that a member makes against the rules: nothing to anybody, whatever MLS thinks of them.

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{KeyPackageIn, LeafNodeParameters, OpenMlsProvider, ProtocolVersion};

use super::super::leaf;
use super::super::mls_group::context_extensions;
use super::super::record::Record;
use super::*;

/// What a commit really does, whatever it says.
#[derive(Default)]
struct Deed<'a> {
    removes: Option<MemberId>,
    adds: Option<&'a [u8]>,
    record: Option<Record>,
    keys_since: Option<u64>,
}

/// Makes a commit that says one thing and does another, past the rules.
fn forge(device: &mut Device, says: &Action, does: Deed<'_>) -> Vec<u8> {
    device
        .with(|group| {
            let removed = does.removes.map(|who| group.place_of(who)).transpose()?;
            let added = does.adds.map(|package| {
                let package = KeyPackageIn::tls_deserialize_exact(package).unwrap();
                package.validate(group.provider.crypto(), ProtocolVersion::Mls10).unwrap()
            });
            group.mls.set_aad(says.encode());
            let mut builder = group
                .mls
                .commit_builder()
                .consume_proposal_store(false)
                .force_self_update(true)
                .propose_removals(removed)
                .propose_adds(added);
            if let Some(record) = &does.record {
                builder = builder
                    .propose_group_context_extensions(context_extensions(record).unwrap())
                    .unwrap();
            }
            if let Some(since) = does.keys_since {
                let extensions = leaf::extensions(since).unwrap();
                builder = builder.leaf_node_parameters(
                    LeafNodeParameters::builder().with_extensions(extensions).build(),
                );
            }
            let provider = &group.provider;
            let bundle = builder
                .load_psks(provider.storage())
                .unwrap()
                .build(provider.rand(), provider.crypto(), &group.signer, |_| true)
                .unwrap()
                .stage_commit(provider)
                .unwrap();
            Ok(bundle.commit().to_bytes().unwrap())
        })
        .unwrap()
}

fn is_void(devices: &mut [Device], commit: &[u8], why: Why) {
    let before = devices[0].authenticator();
    for device in devices.iter_mut() {
        assert_eq!(device.read(commit), Err(why), "{}", device.name);
    }
    assert_eq!(devices[0].authenticator(), before);
    devices.iter_mut().for_each(|device| device.with(|group| group.drop_pending()).unwrap());
    agree(devices);
}

#[test]
fn what_only_admins_may_is_nothing_when_others_do_it() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    let (amina, ben) = (devices[0].me(), devices[1].me());
    let record = devices[0].with(|group| Ok(group.epoch()?.record)).unwrap();
    let not_admin = Why::Forbidden(Forbidden::NotAdmin);

    let mut without = record.clone();
    without.admins = [ben].into();
    let does = Deed { removes: Some(amina), record: Some(without.clone()), ..Deed::default() };
    let coup = forge(&mut devices[1], &Action::Propose(Change::Remove(amina)), does);
    is_void(&mut devices, &coup, not_admin);

    let does = Deed { record: Some(without), ..Deed::default() };
    let grab = forge(&mut devices[1], &Action::UpdateKeys, does);
    is_void(&mut devices, &grab, Why::Forbidden(Forbidden::Mismatch));

    let package = Device::new("dina").key_package();
    let does = Deed { adds: Some(&package), ..Deed::default() };
    let smuggled = forge(&mut devices[1], &Action::Bring(None), does);
    is_void(&mut devices, &smuggled, not_admin);
}

#[test]
fn a_commit_that_does_something_else_than_it_says_is_nothing() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    let (ben, chidi) = (devices[1].me(), devices[2].me());
    let mismatch = Why::Forbidden(Forbidden::Mismatch);
    let record = devices[0].with(|group| Ok(group.epoch()?.record)).unwrap();

    let says = Action::Propose(Change::Remove(chidi));
    let does = Deed { removes: Some(ben), ..Deed::default() };
    let other = forge(&mut devices[0], &says, does);
    is_void(&mut devices, &other, mismatch);

    let package = Device::new("dina").key_package();
    let does = Deed { removes: Some(chidi), adds: Some(&package), ..Deed::default() };
    let beside = forge(&mut devices[0], &says, does);
    is_void(&mut devices, &beside, mismatch);

    // Whoever says to add a member anew brings in somebody else.
    let does = Deed { removes: Some(chidi), adds: Some(&package), ..Deed::default() };
    let swapped = forge(&mut devices[1], &Action::AddAnew(chidi), does);
    is_void(&mut devices, &swapped, mismatch);

    let renamed = Record { name: "the bridge".into(), ..record };
    let does = Deed { record: Some(renamed), ..Deed::default() };
    let name = forge(&mut devices[0], &Action::Rename("the hill".into()), does);
    is_void(&mut devices, &name, mismatch);
}

#[test]
fn a_leaf_with_another_mark_than_the_epoch_is_nothing() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    let mismatch = Why::Forbidden(Forbidden::Mismatch);
    let does = Deed { keys_since: Some(0), ..Deed::default() };
    let unmarked = forge(&mut devices[1], &Action::UpdateKeys, does);
    is_void(&mut devices, &unmarked, mismatch);
    let does = Deed { keys_since: Some(900), ..Deed::default() };
    let far = forge(&mut devices[1], &Action::UpdateKeys, does);
    is_void(&mut devices, &far, mismatch);
}

#[test]
fn bytes_that_are_no_commit_of_the_epoch_are_nothing() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    let (commit, _) = devices[1].commit(&Action::UpdateKeys, None).unwrap();
    for at in (0..commit.len()).step_by(97) {
        let mut changed = commit.clone();
        changed[at] ^= 0x20;
        assert_eq!(devices[0].read(&changed), Err(Why::Invalid), "byte {at}");
    }
    assert_eq!(devices[0].read(&[]), Err(Why::Invalid));
    let message = devices[1].seal("no commit");
    assert_eq!(devices[0].read(&message), Err(Why::Invalid));
    assert_eq!(devices[0].read(&commit), Ok(true));
    assert_eq!(devices[1].read(&commit), Ok(true));
    assert_eq!(devices[0].read(&commit), Err(Why::Invalid), "a second time");
}
