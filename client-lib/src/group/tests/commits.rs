//! Which commit ends an epoch.

use super::*;

#[test]
fn of_two_commits_the_first_wins_and_whoever_lost_tries_again() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    let ben = devices[1].me();
    act(&mut devices, 0, &Action::Propose(Change::Promote(ben)));
    let (first, _) = devices[1].commit(&Action::Rename("the bridge".into()), None).unwrap();
    let (second, _) = devices[0].commit(&Action::Rename("the hill".into()), None).unwrap();
    for device in &mut devices {
        assert_eq!(device.read(&first), Ok(true));
        assert_eq!(device.read(&second), Err(Why::Invalid), "of an epoch that has ended");
    }
    agree(&mut devices);
    assert!(!devices[0].with(|group| Ok(group.has_pending())).unwrap());
    act(&mut devices, 0, &Action::Rename("the hill".into()));
    agree(&mut devices);
    let name = devices[2].with(|group| Ok(group.epoch()?.record.name)).unwrap();
    assert_eq!(name, "the hill");
}

#[test]
fn nothing_of_a_commit_holds_before_it_is_read_back() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    let before = devices[0].authenticator();
    let (commit, _) = devices[0].commit(&Action::UpdateKeys, None).unwrap();
    assert_eq!(devices[0].authenticator(), before);
    let message = devices[0].seal("still in the old epoch");
    assert_eq!(devices[1].open(&message).unwrap(), "still in the old epoch");
    assert_eq!(devices[0].read(&commit), Ok(true));
    assert_ne!(devices[0].authenticator(), before);
}

#[test]
fn a_change_gathers_approvals_and_takes_effect_once() {
    let mut devices = group_of(&["amina", "ben", "chidi", "dina"], Policy::Quorum(3));
    let ids: Vec<MemberId> = devices.iter_mut().map(Device::me).collect();
    // One admin alone decides until there are more.
    act(&mut devices, 0, &Action::Propose(Change::Promote(ids[1])));
    let proposal = |devices: &mut Vec<Device>| -> ProposalId {
        *devices[3].with(|group| Ok(group.epoch()?.record.open)).unwrap().keys().next().unwrap()
    };
    act(&mut devices, 0, &Action::Propose(Change::Promote(ids[2])));
    let promote = proposal(&mut devices);
    act(&mut devices, 1, &Action::Approve(promote));
    let record = devices[3].with(|group| Ok(group.epoch()?.record)).unwrap();
    assert_eq!(record.admins.len(), 3);
    assert!(record.open.is_empty());

    act(&mut devices, 0, &Action::Propose(Change::Remove(ids[3])));
    let remove = proposal(&mut devices);
    act(&mut devices, 1, &Action::Approve(remove));
    assert!(devices[3].with(|group| Ok(group.is_member())).unwrap(), "two of three");
    let twice = devices[1].commit(&Action::Approve(remove), None);
    assert!(matches!(twice, Err(GroupError::Forbidden(Forbidden::Answered))));
    act(&mut devices, 2, &Action::Approve(remove));
    assert!(!devices[3].with(|group| Ok(group.is_member())).unwrap());
    agree(&mut devices[..3]);
    let again = devices[2].commit(&Action::Approve(remove), None);
    assert!(matches!(again, Err(GroupError::Forbidden(Forbidden::NoSuchProposal))));
}

#[test]
fn whom_a_quorum_approved_is_brought_by_the_proposer_alone() {
    let mut devices = group_of(&["amina", "ben"], Policy::Quorum(2));
    let ben = devices[1].me();
    act(&mut devices, 0, &Action::Propose(Change::Promote(ben)));
    act(&mut devices, 0, &Action::Propose(Change::Add));
    let id =
        *devices[0].with(|group| Ok(group.epoch()?.record.open)).unwrap().keys().next().unwrap();
    let mut chidi = Device::new("chidi");
    let package = chidi.key_package();
    let early = devices[0].commit(&Action::Bring(Some(id)), Some(&package));
    assert!(matches!(early, Err(GroupError::Forbidden(Forbidden::NoSuchProposal))));
    act(&mut devices, 1, &Action::Approve(id));
    let other = devices[1].commit(&Action::Bring(Some(id)), Some(&package));
    assert!(matches!(other, Err(GroupError::Forbidden(Forbidden::NotProposer))));
    let (commit, welcome) = devices[0].commit(&Action::Bring(Some(id)), Some(&package)).unwrap();
    devices.iter_mut().for_each(|device| assert_eq!(device.read(&commit), Ok(true)));
    chidi.join(&welcome.unwrap());
    devices.push(chidi);
    agree(&mut devices);
    assert!(devices[2].with(|group| Ok(group.epoch()?.record.open.is_empty())).unwrap());
}

#[test]
fn a_commit_that_was_taken_back_with_its_transaction_leaves_nothing() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    let failed = devices[0].with(|group| {
        group.commit(&Action::UpdateKeys, None)?;
        Err::<(), _>(GroupError::Library)
    });
    assert!(failed.is_err());
    assert!(!devices[0].with(|group| Ok(group.has_pending())).unwrap());
    act(&mut devices, 0, &Action::UpdateKeys);
    agree(&mut devices);
}
