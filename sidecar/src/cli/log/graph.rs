//! The lines in the left margin, one a branch, as `git log --graph` draws them.

/// Columns, each with the line that runs down it.
#[derive(Debug, Default)]
pub(super) struct Graph(Vec<Option<u64>>);

impl Graph {
    /// The margin beside an entry of `line`, which begins here if it is new: time runs upwards.
    pub(super) fn entry(&mut self, line: u64) -> String {
        let at = self.column(line);
        self.draw(|column, _| if column == at { '*' } else { '|' })
    }

    /// The margin between two entries.
    pub(super) fn between(&self) -> String {
        self.draw(|_, _| '|')
    }

    /// `line` was made of `parent` here: it ends, and runs on in the parent's. Returns what joins the two.
    pub(super) fn made(&mut self, line: u64, parent: Option<u64>) -> Option<String> {
        let at = self.column(line);
        let parent_at = parent.and_then(|parent| self.0.iter().position(|column| *column == Some(parent)));
        let Some(parent_at) = parent_at else {
            // The parent's is not there yet, and takes the column over.
            self.0[at] = parent;
            self.cut();
            return None;
        };
        // The right one of the two goes into the left one.
        let (left, right) = (at.min(parent_at), at.max(parent_at));
        if left == right {
            return None;
        }
        let mut strokes = vec![' '; 2 * self.0.len()];
        for (column, _) in
            self.0.iter().enumerate().filter(|(column, runs)| runs.is_some() && *column != right)
        {
            strokes[2 * column] = '|';
        }
        for column in left + 1..right {
            strokes[2 * column - 1] = '_';
        }
        // It stands between its column and the next one to the left.
        strokes[2 * right - 1] = '/';
        let joined: String = strokes.into_iter().collect();
        self.0[left] = parent;
        self.0[right] = None;
        self.cut();
        Some(joined.trim_end().to_owned())
    }

    /// The column of `line`: its own, or the first that is free.
    fn column(&mut self, line: u64) -> usize {
        if let Some(at) = self.0.iter().position(|column| *column == Some(line)) {
            return at;
        }
        let at = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(None);
        }
        self.0[at] = Some(line);
        at
    }

    fn cut(&mut self) {
        while self.0.last().is_some_and(Option::is_none) {
            self.0.pop();
        }
    }

    fn draw(&self, stroke: impl Fn(usize, u64) -> char) -> String {
        let column =
            |(at, runs): (usize, &Option<u64>)| runs.map_or(' ', |line| stroke(at, line)).to_string();
        self.0.iter().enumerate().map(column).collect::<Vec<_>>().join(" ")
    }
}
