//! Telling by its name and type whether a column may hold personal data.

/// What a column looks like, and the rule that would suit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspicion {
    /// What it seems to hold, with its article.
    pub what: &'static str,
    /// The name of a transformer.
    pub suggestion: &'static str,
}

/// Words of which one must be in the name, or two behind each other where they are joined by `_`.
const WORDS: [(&[&str], Suspicion); 12] = [
    (&["email", "mail", "e_mail", "emails"], sus("a mail address", "fake-email")),
    (
        &["phone", "mobile", "telephone", "tel", "fax", "cellphone", "phones", "msisdn"],
        sus("a telephone number", "fake-phone"),
    ),
    (
        &[
            "first_name",
            "last_name",
            "firstname",
            "lastname",
            "full_name",
            "fullname",
            "surname",
            "given_name",
            "family_name",
            "maiden_name",
            "middle_name",
            "nick_name",
            "nickname",
            "display_name",
            "contact_name",
            "customer_name",
            "user_name",
            "username",
            "login",
            "birth_name",
            "legal_name",
        ],
        sus("a person's name", "fake-name"),
    ),
    (
        &[
            "ssn",
            "social_security",
            "tax_id",
            "national_id",
            "passport",
            "drivers_license",
            "licence_number",
            "nino",
        ],
        sus("an official number of a person", "hash"),
    ),
    (
        &["iban", "bic", "account_number", "card_number", "credit_card", "cvv", "cvc", "pan", "bank_account"],
        sus("a bank account or a card", "hash"),
    ),
    (
        &[
            "password",
            "passwd",
            "passphrase",
            "secret",
            "token",
            "api_key",
            "apikey",
            "private_key",
            "access_key",
            "refresh_key",
            "otp",
            "pin",
            "credential",
            "credentials",
        ],
        sus("a secret", "hash"),
    ),
    (&["ip", "ip_address", "ipaddress", "remote_addr", "client_addr"], sus("a network address", "null")),
    (
        &[
            "address",
            "street",
            "zip",
            "zipcode",
            "zip_code",
            "postal",
            "postcode",
            "house_number",
            "address_line",
        ],
        sus("a postal address", "null"),
    ),
    (
        &["birth", "birthday", "birthdate", "birth_date", "dob", "date_of_birth", "born", "bday"],
        sus("a date of birth", "null"),
    ),
    (&["latitude", "longitude", "lat", "lng", "lon", "geolocation"], sus("a place", "null")),
    (
        &["gender", "sex", "religion", "ethnicity", "nationality", "diagnosis", "disability", "salary"],
        sus("a trait of a person", "null"),
    ),
    (&["signature", "fingerprint", "avatar", "portrait"], sus("a mark of a person", "null")),
];

/// Tables whose rows are people: `name` alone is a person's name there.
const PEOPLE: [&str; 20] = [
    "user",
    "person",
    "people",
    "customer",
    "employee",
    "contact",
    "patient",
    "member",
    "author",
    "client",
    "guest",
    "student",
    "subscriber",
    "profile",
    "lead",
    "visitor",
    "owner",
    "recipient",
    "teacher",
    "passenger",
];

const fn sus(what: &'static str, suggestion: &'static str) -> Suspicion {
    Suspicion { what, suggestion }
}

/// What the column `column` of `table` seems to hold; `type_name` is that of its base type, as in `pg_type`.
pub fn suspicion(table: &str, column: &str, type_name: &str) -> Option<Suspicion> {
    match type_name {
        "inet" | "cidr" => return Some(sus("a network address", "null")),
        "macaddr" | "macaddr8" => return Some(sus("the address of a device", "null")),
        // Whether there is one, or since when, is not personal.
        "bool" | "timestamp" | "timestamptz" | "interval" | "time" | "timetz" => {
            let is_birth = words(column)
                .iter()
                .any(|word| ["birth", "birthday", "dob", "born", "bday"].contains(&word.as_str()));
            return is_birth.then_some(sus("a date of birth", "null"));
        }
        _ => {}
    }
    let words = words(column);
    let is_number = ["int2", "int4", "int8", "numeric", "float4", "float8"].contains(&type_name);
    let refers = words.last().is_some_and(|word| word == "id") && (is_number || type_name == "uuid");
    let ends_in = |ends: &[&str]| words.last().is_some_and(|word| ends.contains(&word.as_str()));
    let joined = words.join("_");
    let found = WORDS.iter().find(|(known, _)| known.iter().any(|known| contains(&joined, known)));
    if let Some((_, found)) = found {
        let is_official = found.what.starts_with("an official") || found.what.starts_with("a bank");
        // A number of mails is a count, that of a telephone is its own.
        let counts = ends_in(&["count", "total", "amount"])
            || (ends_in(&["number"]) && found.what != "a telephone number");
        return (is_official || !(refers || (is_number && counts))).then_some(*found);
    }
    let of_people = self::words(table).iter().any(|word| {
        PEOPLE.contains(&word.as_str()) || word.strip_suffix('s').is_some_and(|one| PEOPLE.contains(&one))
    });
    (joined == "name" && of_people).then_some(sus("a person's name", "fake-name"))
}

/// Whether `known`, one word or several, is among the words of `joined`.
fn contains(joined: &str, known: &str) -> bool {
    format!("_{joined}_").contains(&format!("_{known}_"))
}

/// The words of `first_name`, `firstName` and `FIRST-NAME`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        let begins = letter.is_uppercase() && was_lower;
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_columns_are_told_from_others() {
        let suggestion = |table, column, kind| suspicion(table, column, kind).map(|found| found.suggestion);
        assert_eq!(suggestion("users", "email", "text"), Some("fake-email"));
        assert_eq!(suggestion("orders", "contactEmail", "varchar"), Some("fake-email"));
        assert_eq!(suggestion("person", "born", "date"), Some("null"));
        assert_eq!(suggestion("person", "phone_number", "int8"), Some("fake-phone"));
        assert_eq!(suggestion("person", "email_number", "int4"), None);
        assert_eq!(suggestion("app_users", "name", "text"), Some("fake-name"));
        assert_eq!(suggestion("users", "LastName", "text"), Some("fake-name"));
        assert_eq!(suggestion("visits", "seen_from", "inet"), Some("null"));
        assert_eq!(suggestion("users", "date_of_birth", "date"), Some("null"));
        assert_eq!(suggestion("users", "tax_id", "int8"), Some("hash"));
        assert_eq!(suggestion("users", "password_hash", "text"), Some("hash"));
        assert_eq!(suggestion("users", "phone", "int8"), Some("fake-phone"));
        for (table, column, kind) in [
            ("products", "name", "text"),
            ("users", "email_verified", "bool"),
            ("users", "email_sent_at", "timestamptz"),
            ("orders", "address_id", "int8"),
            ("stats", "email_count", "int4"),
            ("orders", "description", "text"),
            ("orders", "tokenizer", "text"),
        ] {
            assert_eq!(suggestion(table, column, kind), None, "{table}.{column}");
        }
    }
}
