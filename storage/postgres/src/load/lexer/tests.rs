use super::*;

/// The statements of `script`, each with its line.
fn split(script: &str) -> Vec<(u64, String)> {
    let mut lexer = Lexer::new();
    let mut found = Vec::new();
    for (index, line) in script.split_inclusive('\n').enumerate() {
        let mut from = 0;
        while let Found::Statement(end) = lexer.feed(line.as_bytes(), from, index as u64 + 1) {
            let statement = lexer.take();
            found.push((statement.line, String::from_utf8(statement.text).unwrap()));
            from = end;
        }
    }
    assert!(!lexer.is_inside(), "the script is not at an end");
    assert_eq!(lexer.open_end(), None);
    found
}

fn texts(script: &str) -> Vec<String> {
    split(script).into_iter().map(|(_, text)| text).collect()
}

/// Asserts that `script` is one statement, whatever semicolons it has.
fn is_one(script: &str) {
    assert_eq!(texts(script), [script], "{script}");
}

#[test]
fn statements_end_at_semicolons_and_know_their_line() {
    let found = split("-- head; not a statement\nSELECT 1; SELECT\n 2;\n\n;;/* c; */ SELECT 3;\n");
    let expected = [(2, "SELECT 1;"), (2, "SELECT\n 2;"), (5, "SELECT 3;")];
    assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
}

#[test]
fn semicolons_in_quotes_end_nothing() {
    is_one("SELECT 'a;b', 'it''s;', \"c;\"\"d;\";");
    is_one("SELECT 'over\n;\nlines';");
    is_one("SELECT E'a\\';b', e'\\\\';");
    is_one("SELECT U&'\\0061;', B'01', x'1F;', N'a;';");
}

#[test]
fn backslash_is_plain_in_standard_strings() {
    assert_eq!(texts("SELECT 'a\\'; SELECT 'b';"), ["SELECT 'a\\';", "SELECT 'b';"]);
    // `type` ends in an e, but is no prefix.
    assert_eq!(texts("SELECT date'a\\'; SELECT 'b';"), ["SELECT date'a\\';", "SELECT 'b';"]);
}

#[test]
fn backslash_escapes_when_standard_strings_are_off() {
    let mut lexer = Lexer::new();
    lexer.standard_strings = false;
    let line = b"SELECT 'a\\';b';";
    assert_eq!(lexer.feed(line, 0, 1), Found::Statement(line.len()));
}

#[test]
fn escape_string_goes_on_in_the_next_line() {
    is_one("SELECT E'a'\n  'b\\';c';");
    is_one("SELECT E'a' -- more\n  'b\\';c';");
}

#[test]
fn dollar_quotes_end_at_their_own_tag() {
    is_one("DO $$ BEGIN PERFORM 1; END $$;");
    is_one("DO $a$ ; $$ ; $b$ ; $a$;");
    is_one("DO $tag_1$\n;\n$tag_1$;");
    is_one("DO $é$ ; $é$;");
    assert_eq!(texts("SELECT a$b$c; SELECT $1; SELECT x$1$;").len(), 3);
}

#[test]
fn comments_nest() {
    is_one("SELECT /* a /* ; */ ; */ 1;");
    is_one("SELECT 1 -- ;'\n;");
    assert_eq!(texts("/* a\n;*/ SELECT 1; -- ' \nSELECT 2;"), ["SELECT 1;", "SELECT 2;"]);
}

#[test]
fn parentheses_hold_semicolons() {
    is_one("CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b);");
}

#[test]
fn bodies_of_sql_functions_hold_semicolons() {
    is_one(
        "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a = 1 THEN 2 END; END;",
    );
    is_one("CREATE OR REPLACE PROCEDURE p() LANGUAGE sql\nBEGIN ATOMIC\n INSERT INTO t VALUES (1);\nEND;");
    assert_eq!(texts("BEGIN; SELECT 1; END;").len(), 3);
    assert_eq!(texts("CREATE TABLE t (begin int); SELECT 1;").len(), 2);
}

#[test]
fn copy_from_stdin_is_known_from_other_copies() {
    let copies_in = |text: &str| {
        let mut lexer = Lexer::new();
        lexer.feed(text.as_bytes(), 0, 1);
        lexer.take().copies_in
    };
    assert!(copies_in("COPY public.t (a, \"from\") FROM stdin;"));
    assert!(copies_in("copy t from STDIN with (format csv);"));
    assert!(!copies_in("COPY t TO stdout;"));
    assert!(!copies_in("COPY t FROM '/stdin';"));
    assert!(!copies_in("SELECT * FROM stdin;"));
}

#[test]
fn backslash_commands_are_found_outside_of_quotes_only() {
    let mut lexer = Lexer::new();
    assert_eq!(lexer.feed(b"\\connect x\n", 0, 1), Found::Backslash(0));
    assert!(!lexer.is_inside());
    assert_eq!(lexer.feed(b"SELECT 1 \\gset\n", 0, 2), Found::Backslash(9));
    assert!(lexer.is_inside());
}

#[test]
fn unfinished_ends_are_named() {
    for (script, name) in [
        ("SELECT 'a", "a string"),
        ("SELECT \"a", "a quoted identifier"),
        ("DO $x$ a $$", "a dollar-quoted string"),
        ("/* a", "a comment"),
        ("SELECT (1", "parentheses"),
    ] {
        let mut lexer = Lexer::new();
        lexer.feed(script.as_bytes(), 0, 1);
        assert_eq!(lexer.open_end(), Some(name), "{script}");
    }
}
