//! Who comes, talks and goes.

use super::*;

#[test]
fn members_read_one_another_and_who_went_reads_nothing_more() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    let message = devices[1].seal("are you safe?");
    assert_eq!(devices[0].open(&message).unwrap(), "are you safe?");
    assert_eq!(devices[2].open(&message).unwrap(), "are you safe?");
    assert_eq!(devices[1].open(&message).unwrap(), "own");
    assert!(matches!(devices[0].open(&message), Err(GroupError::Unreadable)), "a second time");

    let chidi = devices[2].me();
    let (commit, _) = devices[0].commit(&Action::Propose(Change::Remove(chidi)), None).unwrap();
    devices.iter_mut().for_each(|device| assert_eq!(device.read(&commit), Ok(true)));
    assert!(!devices[2].with(|group| Ok(group.is_member())).unwrap());
    let message = devices[0].seal("without chidi");
    assert_eq!(devices[1].open(&message).unwrap(), "without chidi");
    assert!(devices[2].open(&message).is_err());
}

#[test]
fn a_newcomer_reads_nothing_from_before() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    let before = devices[0].seal("before");
    devices.push(Device::new("chidi"));
    bring(&mut devices, 2);
    assert!(devices[2].open(&before).is_err());
    assert_eq!(devices[1].open(&before).unwrap(), "before", "late, and of a past epoch");
    let after = devices[2].seal("hello");
    assert_eq!(devices[0].open(&after).unwrap(), "hello");
}

#[test]
fn late_messages_of_five_past_epochs_are_read_and_older_ones_are_not() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    let messages: Vec<Vec<u8>> = (0..7)
        .map(|round| {
            let message = devices[0].seal(&round.to_string());
            act(&mut devices, 0, &Action::Rename(format!("round {round}")));
            message
        })
        .collect();
    let read: Vec<bool> = messages.iter().map(|message| devices[1].open(message).is_ok()).collect();
    assert_eq!(read, [false, false, true, true, true, true, true]);
}

#[test]
fn a_leave_is_carried_out_by_another_member_and_only_with_the_leavers_signature() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    let mut request = devices[2].with(|group| Ok(group.leave_request())).unwrap();
    let (ben, chidi) = (devices[1].me(), devices[2].me());
    act(&mut devices, 1, &Action::Leave(request.clone()));
    assert!(!devices[2].with(|group| Ok(group.is_member())).unwrap());
    request.member = ben;
    let refused = devices[0].commit(&Action::Leave(request), None);
    assert!(matches!(refused, Err(GroupError::Forbidden(Forbidden::NotSigned))));
    let epoch = devices[0].with(|group| Ok(group.epoch()?)).unwrap();
    assert!(!epoch.members.contains_key(&chidi));
}

#[test]
fn a_member_added_anew_is_the_same_member() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    let ben = devices[1].me();
    act(&mut devices, 0, &Action::Propose(Change::Promote(ben)));
    let package = devices[1].key_package();
    let (commit, welcome) = devices[2].commit(&Action::AddAnew(ben), Some(&package)).unwrap();
    assert_eq!(devices[0].read(&commit), Ok(true));
    assert_eq!(devices[2].read(&commit), Ok(true));
    devices[1].join(&welcome.unwrap());
    agree(&mut devices);
    assert_eq!(devices[1].me(), ben);
    let record = devices[1].with(|group| Ok(group.epoch()?.record)).unwrap();
    assert!(record.admins.contains(&ben));
    let message = devices[1].seal("back");
    assert_eq!(devices[0].open(&message).unwrap(), "back");
}

#[test]
fn keys_are_changed_once_in_sixteen_epochs() {
    let mut devices = group_of(&["amina", "ben"], Policy::Admin);
    act(&mut devices, 1, &Action::UpdateKeys);
    let again = devices[1].commit(&Action::UpdateKeys, None);
    assert!(matches!(again, Err(GroupError::Forbidden(Forbidden::TooSoon))));
    for round in 0..15 {
        act(&mut devices, 0, &Action::Rename(format!("round {round}")));
    }
    act(&mut devices, 1, &Action::UpdateKeys);
    agree(&mut devices);
}
