//! Whether the client already has what it asks for: `If-None-Match` and `If-Range` (RFC 9110 sections 13.1.2, 13.1.5); pure.

/// True if the list names this tag, in weak comparison, or is `*`: then the client has it. `tag` is a strong one, with its
/// quotation marks.
pub(super) fn has(list: &str, tag: &str) -> bool {
    list.trim_ascii() == "*" || tags(list).any(|(_, found)| found == tag)
}

/// True if a part of what has this tag goes together with what the client has of it. A date never does: there are none.
pub(super) fn is_same(if_range: &str, tag: &str) -> bool {
    if_range.trim_ascii() == tag
}

/// The entity tags of a list, each with whether it is weak, up to the first that is none. (A tag may hold commas.)
fn tags(list: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let end = quoted.strip_prefix('"')?.find('"')? + 2;
        let (tag, more) = quoted.split_at(end);
        rest = more;
        Some((is_weak, tag))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_of_tags_is_compared_weakly() {
        for list in [
            "\"a\"",
            "*",
            " * ",
            "W/\"a\"",
            "\"b\", \"a\"",
            "\"b\",W/\"c,\\\" , \"a\"",
            "\"x,y\",\"a\"",
            ",\"a\"",
        ] {
            assert!(has(list, "\"a\""), "{list}");
        }
        for list in
            ["", "a", "\"b\"", "\"A\"", "w/\"a\"", "\"a", "\"b\" x \"a\"", "\"*\"", "*,\"b\"", "\"ba\""]
        {
            assert!(!has(list, "\"a\""), "{list}");
        }
        assert!(tags("W/\"a\"").eq([(true, "\"a\"")]));
    }

    proptest! {
        #[test]
        fn a_tag_is_found_wherever_it_stands_in_a_list(
            before in prop::collection::vec("(W/)?\"[a-z, ]{0,5}\"", 0..4),
            after in r"\PC{0,20}",
            gap in "[ \t,]{0,3}",
        ) {
            let list = format!("{}{gap}\"X\",{after}", before.iter().map(|tag| format!("{tag},")).collect::<String>());
            prop_assert!(has(&list, "\"X\""), "{}", list);
            prop_assert!(!has(&before.join(","), "\"X\""));
        }
    }

    #[test]
    fn a_part_needs_the_same_strong_tag() {
        assert!(is_same("\"a\"", "\"a\""));
        for other in ["W/\"a\"", "\"b\"", "*", "\"a\", \"b\"", "Wed, 21 Oct 2026 07:28:00 GMT", ""] {
            assert!(!is_same(other, "\"a\""), "{other}");
        }
    }
}
