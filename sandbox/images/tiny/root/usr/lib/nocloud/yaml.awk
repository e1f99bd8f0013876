# A reader of the YAML that cloud-init documents are made of, small enough for an image without a YAML library.
#
# Reads: block and flow mappings and sequences (so JSON too), plain, single- and double-quoted scalars over several
# lines, literal (|) and folded (>) block scalars, comments, one document. Refuses, with the line: tabs as indentation,
# anchors, aliases, tags, merge keys. Never guesses.
#
# Result, for the awk file named after this one, which starts in its END block with `yaml_read()`:
#   paths[1..path_count]  the paths of the scalars in document order, components joined by SUBSEP ("a" SUBSEP "0")
#   value[path]           the scalar's text (null and ~ are "")
#   count[path]           the number of entries of a sequence; kind[path] = "map" | "seq" | "scalar"
# Source: YAML 1.2.2, chapters 6 to 8; the subset is that of cloud-init's documents.

{ sub(/\r$/, ""); line[NR] = $0 }

function yaml_fail(message) {
    printf "nocloud: %s: line %d: %s\n", FILENAME, at, message > "/dev/stderr"
    failed = 1
    exit 1
}

function yaml_read(  depth) {
    at = 1
    path_count = 0
    skip_blank()
    if (at <= NR && line[at] ~ /^---([ \t]|$)/) { sub(/^---/, "   ", line[at]); skip_blank() }
    if (at > NR) return
    read_block(0, "")
    skip_blank()
    if (at <= NR && line[at] !~ /^\.\.\.([ \t]|$)/) yaml_fail("expected the end of the document, found: " line[at])
}

function is_end(text) { return text ~ /^(---|\.\.\.)([ \t]|$)/ }

function skip_blank() { while (at <= NR && line[at] ~ /^[ \t]*(#.*)?$/) at++ }

function indent_of(text) {
    match(text, /^ */)
    if (substr(text, RLENGTH + 1, 1) == "\t") yaml_fail("a tab cannot indent")
    return RLENGTH
}

function join_path(path, key) { return path == "" ? key : path SUBSEP key }

function emit(path, text) {
    if (path in kind) yaml_fail("the same key twice")
    paths[++path_count] = path
    kind[path] = "scalar"
    value[path] = text
}

function plain(text) { return (text == "~" || text == "null" || text == "Null" || text == "NULL") ? "" : text }

# The position of the ":" that ends a mapping key at the start of text, or 0.
function key_end(text,  first, i, length_) {
    first = substr(text, 1, 1)
    if (first == "\"" || first == "'") {
        i = quote_end(text, 1)
        if (!i) return 0
        match(substr(text, i + 1), /^[ ]*/)
        i += RLENGTH + 1
        return (substr(text, i, 1) == ":" && substr(text, i + 1, 1) ~ /^[ \t]?$/) ? i : 0
    }
    if (index("[{|>%@`", first)) return 0
    length_ = length(text)
    for (i = 1; i <= length_; i++) {
        if (substr(text, i, 1) == ":" && substr(text, i + 1, 1) ~ /^[ \t]?$/) return i
        if (substr(text, i, 2) ~ /^[ \t]#/) return 0
    }
    return 0
}

# The position of the quote that closes the one at start, or 0 when text ends first.
function quote_end(text, start,  mark, i, char, length_) {
    mark = substr(text, start, 1)
    length_ = length(text)
    for (i = start + 1; i <= length_; i++) {
        char = substr(text, i, 1)
        if (mark == "\"" && char == "\\") { i++; continue }
        if (char != mark) continue
        if (mark == "'" && substr(text, i + 1, 1) == "'") { i++; continue }
        return i
    }
    return 0
}

function read_block(least, path,  depth, text) {
    skip_blank()
    if (at > NR || is_end(line[at])) { emit(path, ""); return }
    depth = indent_of(line[at])
    if (depth < least) { emit(path, ""); return }
    text = substr(line[at], depth + 1)
    if (text ~ /^-([ \t]|$)/) read_sequence(depth, path)
    else if (key_end(text)) read_mapping(depth, path)
    else read_scalar(text, least - 1, path)
}

function read_sequence(depth, path,  entry, text, rest) {
    kind[path] = "seq"
    for (entry = 0; ; entry++) {
        skip_blank()
        if (at > NR || is_end(line[at]) || indent_of(line[at]) != depth) break
        text = substr(line[at], depth + 1)
        if (text !~ /^-([ \t]|$)/) break
        # What follows the dash is a block of its own, indented to where it stands.
        rest = substr(text, 2)
        line[at] = sprintf("%" (depth + 1) "s", "") rest
        if (rest ~ /^[ \t]*(#.*)?$/) at++
        else if (rest ~ /^[ ]+[|>]/) { sub(/^ +/, "", rest); read_block_scalar(rest, depth, join_path(path, entry)); continue }
        read_block(depth + 1, join_path(path, entry))
    }
    count[path] = entry
    if (at <= NR && !is_end(line[at]) && indent_of(line[at]) > depth) yaml_fail("wrong indentation: " line[at])
}

function read_mapping(depth, path,  text, end, key, rest) {
    kind[path] = "map"
    for (;;) {
        skip_blank()
        if (at > NR || is_end(line[at]) || indent_of(line[at]) != depth) break
        text = substr(line[at], depth + 1)
        if (text ~ /^-([ \t]|$)/) break
        end = key_end(text)
        if (!end) yaml_fail("expected \"key: value\", found: " text)
        key = substr(text, 1, end - 1)
        sub(/[ \t]+$/, "", key)
        if (key ~ /^["']/) key = unquote(key)
        if (key == "<<") yaml_fail("merge keys (<<) are not read")
        rest = substr(text, end + 1)
        sub(/^[ \t]+/, "", rest)
        if (rest ~ /^(#.*)?$/) { at++; read_nested(depth, join_path(path, key)) }
        else if (rest ~ /^[|>]/) read_block_scalar(rest, depth, join_path(path, key))
        else read_scalar(rest, depth, join_path(path, key))
    }
    if (at <= NR && !is_end(line[at]) && indent_of(line[at]) > depth) yaml_fail("wrong indentation: " line[at])
}

# The value of a key that stands alone on its line: deeper, or a sequence at the key's own depth, or nothing.
function read_nested(depth, path,  next_depth) {
    skip_blank()
    if (at > NR || is_end(line[at])) { emit(path, ""); return }
    next_depth = indent_of(line[at])
    if (next_depth == depth && substr(line[at], depth + 1) ~ /^-([ \t]|$)/) read_sequence(depth, path)
    else read_block(depth + 1, path)
}

# A literal or folded scalar; header is "|" or ">" with an optional "+" or "-" and an indentation digit.
function read_block_scalar(header, depth, path,  style, chomp, width, text, rows, row, i, out, pending) {
    style = substr(header, 1, 1)
    chomp = header ~ /^.[0-9]?-/ ? "-" : (header ~ /^.[0-9]?\+/ ? "+" : "")
    width = match(header, /^[^ #]*[1-9]/) ? depth + substr(header, RLENGTH, 1) : 0
    rows = 0
    for (at++; at <= NR; at++) {
        text = line[at]
        if (text ~ /^ *$/) { row[++rows] = ""; continue }
        match(text, /^ */)
        if (!width) { if (RLENGTH <= depth) break; width = RLENGTH }
        if (RLENGTH < width) break
        row[++rows] = substr(text, width + 1)
    }
    pending = 0
    while (rows && row[rows] == "") { rows--; pending++ }
    out = ""
    for (i = 1; i <= rows; i++) {
        if (i > 1) out = out (style == ">" ? fold(row[i - 1], row[i]) : "\n")
        out = out row[i]
    }
    if (rows && chomp != "-") out = out "\n"
    if (chomp == "+") while (pending-- > 0) out = out "\n"
    emit(path, out)
}

# What stands between two rows of a folded scalar: a space, or a break where a row is empty or indented further.
function fold(before, after) {
    if (after == "") return before == "" || before ~ /^[ \t]/ ? "\n" : ""
    if (before == "") return "\n"
    return before ~ /^[ \t]/ || after ~ /^[ \t]/ ? "\n" : " "
}

# A scalar or flow collection that begins with text on the current line and may go on in lines deeper than depth.
function read_scalar(text, depth, path,  first) {
    first = substr(text, 1, 1)
    if (first == "&" || first == "*") yaml_fail("anchors and aliases (&, *) are not read")
    if (first == "!") yaml_fail("tags (!) are not read")
    if (first == "\"" || first == "'") read_quoted(text, path)
    else if (first == "[" || first == "{") read_flow_lines(text, path)
    else read_plain(text, depth, path)
}

function strip_comment(text) { sub(/[ \t]+#.*$/, "", text); sub(/[ \t]+$/, "", text); return text }

function read_plain(text, depth, path,  next_text, out, breaks) {
    out = strip_comment(text)
    breaks = 0
    for (at++; at <= NR; at++) {
        if (text ~ /[ \t]#/ || is_end(line[at])) break
        if (line[at] ~ /^[ \t]*$/) { breaks++; continue }
        if (indent_of(line[at]) <= depth) break
        next_text = line[at]
        sub(/^[ \t]+/, "", next_text)
        if (next_text ~ /^#/) break
        if (key_end(next_text)) yaml_fail("a mapping cannot continue a plain value: " next_text)
        text = next_text
        if (breaks) while (breaks-- > 0) out = out "\n"
        else out = out " "
        breaks = 0
        out = out strip_comment(next_text)
    }
    emit(path, plain(out))
}

function read_quoted(text, path,  end, rest, row) {
    while (!(end = quote_end(text, 1))) {
        if (++at > NR) yaml_fail("the quotation is never closed")
        text = continued(text, line[at], substr(text, 1, 1))
    }
    rest = substr(text, end + 1)
    if (rest !~ /^[ \t]*(#.*)?$/) yaml_fail("text after a quotation: " rest)
    at++
    emit(path, unquote(substr(text, 1, end)))
}

# A quotation and its next line: a line break is a space, an empty line a line break, an escaped one nothing.
function continued(text, row, mark) {
    sub(/^[ \t]+/, "", row)
    if (mark == "\"" && text ~ /(^|[^\\])(\\\\)*\\$/) return substr(text, 1, length(text) - 1) row
    if (row == "") { sub(/[ \t]+$/, "", text); return text "\n" }
    if (text ~ /\n$/) return text row
    sub(/[ \t]+$/, "", text)
    return text " " row
}

function unquote(text,  inner, out, i, char, length_) {
    inner = substr(text, 2, length(text) - 2)
    if (substr(text, 1, 1) == "'") { gsub(/''/, "'", inner); return inner }
    out = ""
    length_ = length(inner)
    for (i = 1; i <= length_; i++) {
        char = substr(inner, i, 1)
        if (char != "\\") { out = out char; continue }
        char = substr(inner, ++i, 1)
        if (char == "n") out = out "\n"
        else if (char == "t") out = out "\t"
        else if (char == "r") out = out "\r"
        else if (char == "0") out = out ""
        else if (char == "x") { out = out code_point(substr(inner, i + 1, 2)); i += 2 }
        else if (char == "u") { out = out code_point(substr(inner, i + 1, 4)); i += 4 }
        else if (index("\"\\/ ", char)) out = out char
        else yaml_fail("unknown escape \\" char)
    }
    return out
}

# A code point below U+10000 given in hexadecimal digits, as UTF-8.
function code_point(digits,  i, number) {
    number = 0
    for (i = 1; i <= length(digits); i++) number = number * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
    if (number < 128) return sprintf("%c", number)
    if (number < 2048) return sprintf("%c%c", 192 + int(number / 64), 128 + number % 64)
    return sprintf("%c%c%c", 224 + int(number / 4096), 128 + int(number / 64) % 64, 128 + number % 64)
}

# Flow collections: the lines are joined until the brackets balance, then read by recursive descent in `flow` at `pos`.
function read_flow_lines(text, path,  row, mark) {
    flow = strip_flow_comment(text)
    while (!balanced(flow)) {
        mark = open_quote
        if (++at > NR) yaml_fail("the flow collection is never closed")
        row = line[at]
        if (mark != "") { flow = strip_flow_comment(continued(flow, row, mark)); continue }
        sub(/^[ \t]+/, "", row)
        flow = flow " " strip_flow_comment(row)
    }
    pos = 1
    read_flow(path)
    skip_space()
    if (pos <= length(flow)) yaml_fail("text after a flow collection: " substr(flow, pos))
    at++
}

function strip_flow_comment(text,  i, char, end, length_) {
    length_ = length(text)
    for (i = 1; i <= length_; i++) {
        char = substr(text, i, 1)
        if (opens_quote(text, i)) {
            end = quote_end(text, i)
            if (!end) return text
            i = end
        } else if (char == "#" && (i == 1 || substr(text, i - 1, 1) ~ /[ \t]/)) return substr(text, 1, i - 1)
    }
    return text
}

# True when the character at i is a quote that begins a scalar, and not one inside a plain scalar.
function opens_quote(text, i,  before, j) {
    if (!index("\"'", substr(text, i, 1))) return 0
    for (j = i - 1; j > 0 && substr(text, j, 1) ~ /^[ \t]$/; j--);
    if (j == 0) return 1
    before = substr(text, j, 1)
    if (before == ":") return j < i - 1 || index("\"'", substr(text, j - 1, 1))
    return index("[{,", before)
}

# True when every bracket of text is closed; sets open_quote to the mark of a quotation that text ends in, or "".
function balanced(text,  i, char, open, length_, start) {
    open = 0
    open_quote = ""
    length_ = length(text)
    for (i = 1; i <= length_; i++) {
        char = substr(text, i, 1)
        if (opens_quote(text, i)) {
            start = i
            i = quote_end(text, i)
            if (!i) { open_quote = char; return 0 }
        } else if (char == "[" || char == "{") open++
        else if (char == "]" || char == "}") open--
    }
    return open <= 0
}

function skip_space() { while (substr(flow, pos, 1) ~ /^[ \t]$/) pos++ }

function read_flow(path,  char) {
    skip_space()
    char = substr(flow, pos, 1)
    if (char == "[") read_flow_sequence(path)
    else if (char == "{") read_flow_mapping(path)
    else emit(path, read_flow_scalar())
}

function read_flow_sequence(path,  entry) {
    kind[path] = "seq"
    pos++
    for (entry = 0; ; entry++) {
        skip_space()
        if (substr(flow, pos, 1) == "]") break
        read_flow(join_path(path, entry))
        skip_space()
        if (substr(flow, pos, 1) == ",") pos++
        else if (substr(flow, pos, 1) != "]") yaml_fail("expected , or ] at: " substr(flow, pos))
    }
    count[path] = entry
    pos++
}

function read_flow_mapping(path,  key) {
    kind[path] = "map"
    pos++
    for (;;) {
        skip_space()
        if (substr(flow, pos, 1) == "}") break
        key = read_flow_scalar()
        skip_space()
        if (substr(flow, pos, 1) == ":") { pos++; read_flow(join_path(path, key)) }
        else emit(join_path(path, key), "")
        skip_space()
        if (substr(flow, pos, 1) == ",") pos++
        else if (substr(flow, pos, 1) != "}") yaml_fail("expected , or } at: " substr(flow, pos))
    }
    pos++
}

function read_flow_scalar(  char, end, start) {
    char = substr(flow, pos, 1)
    start = pos
    if (char == "\"" || char == "'") {
        end = quote_end(flow, pos)
        if (!end) yaml_fail("the quotation is never closed")
        pos = end + 1
        return unquote(substr(flow, start, end - start + 1))
    }
    if (index("&*!", char) && char != "") yaml_fail("anchors, aliases and tags are not read")
    while (pos <= length(flow)) {
        char = substr(flow, pos, 1)
        if (index(",[]{}", char)) break
        if (char == ":" && substr(flow, pos + 1, 1) ~ /^([ \t,]|\]|\}|)$/) break
        pos++
    }
    end = substr(flow, start, pos - start)
    sub(/[ \t]+$/, "", end)
    return plain(end)
}
