//! Names to choose from.

/// First names.
#[rustfmt::skip]
pub(super) const FIRST: [&str; 64] = [
    "Ada", "Agnes", "Alan", "Amara", "Anton", "Aria", "Arlo", "Astrid", "Basil", "Bianca", "Boris", "Carla", "Cedric", "Clara",
    "Dario", "Delia", "Edda", "Elias", "Emil", "Enzo", "Esme", "Fabian", "Fiona", "Flora", "Gregor", "Greta", "Hanna", "Hector",
    "Hugo", "Ida", "Igor", "Ines", "Ivo", "Jana", "Jasper", "Joana", "Jonas", "Kira", "Klara", "Lars", "Lea", "Leon", "Livia",
    "Lukas", "Mara", "Marek", "Milo", "Mira", "Nadia", "Nils", "Nora", "Olga", "Otto", "Paula", "Pia", "Quinn", "Rafael", "Rosa",
    "Selma", "Simon", "Tessa", "Theo", "Vera", "Yara",
];

/// Last names.
#[rustfmt::skip]
pub(super) const LAST: [&str; 64] = [
    "Abbott", "Acker", "Alder", "Ashby", "Bach", "Barlow", "Becker", "Berg", "Birch", "Blum", "Bowen", "Brandt", "Castle", "Clay",
    "Conrad", "Cole", "Dahl", "Decker", "Drake", "Ebner", "Ellis", "Engel", "Falk", "Farrow", "Fink", "Frost", "Garner", "Graf",
    "Hale", "Hardy", "Hart", "Hollis", "Horn", "Ivers", "Jansen", "Keller", "Kern", "Kirby", "Kranz", "Lang", "Lark", "Linden",
    "Lowe", "Marsh", "Mercer", "Moss", "Nash", "Norden", "Oakley", "Olsen", "Palmer", "Pohl", "Quist", "Reed", "Rowan", "Sander",
    "Sharp", "Stone", "Thorne", "Ulrich", "Vance", "Weber", "Winter", "Zeller",
];

/// The longest of a first name, a space and a last name.
pub(super) const LONGEST: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_longer_than_is_said() {
        let longest = |words: &[&str]| words.iter().map(|word| word.len()).max().unwrap();
        assert_eq!(longest(&FIRST) + 1 + longest(&LAST), LONGEST);
    }
}
