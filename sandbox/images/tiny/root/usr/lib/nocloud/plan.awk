# How a plan is written, one step a line: fields joined by "|", in each a backslash, line break, tab and "|" escaped so
# that the shell's `printf %b` gives the value back. A plan only says what to do; `apply` does it.

function field(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/\n/, "\\n", text)
    gsub(/\t/, "\\t", text)
    gsub(/\|/, "\\0174", text)
    return text
}

function step(verb, a, b, c, d) { print verb "|" field(a) "|" field(b) "|" field(c) "|" field(d) }

# Nothing is dropped in silence: what this image cannot do is named on the console.
function ignored(path) {
    gsub(SUBSEP, ".", path)
    printf "nocloud: %s: %s is not supported by this image and was ignored\n", FILENAME, path > "/dev/stderr"
}

function is_true(text) { return tolower(text) ~ /^(true|yes|on|1)$/ }
