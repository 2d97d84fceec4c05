//! The part of a migration that leads forward: some tools keep the way back in the same file.

/// How the line begins after which the way back follows: of dbmate, goose and tern.
const MARKS: [&str; 3] = ["-- migrate:down", "-- +goose down", "---- create above / drop below ----"];

/// `text` without its way back.
pub(super) fn forward(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let begins = |mark: &&str| line.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
        if MARKS.iter().any(begins) {
            return &text[..end];
        }
        end += line.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_of_each_tool_is_left_out() {
        for mark in
            ["-- migrate:down transaction:false", "-- +goose Down", "---- create above / drop below ----"]
        {
            assert_eq!(
                forward(&format!("create table é ();\n{mark}\ndrop table é;\n")),
                "create table é ();\n"
            );
        }
        for whole in ["", "select 1", "-- +goose Up\nselect ' -- migrate:down ';\n", "-- é\n"] {
            assert_eq!(forward(whole), whole);
        }
    }
}
