# user-data that is #cloud-config -> plan: `hostname|name`, `user|name|shell`, `key|user|SSH public key`,
# `file|path|permissions|encoding|content`, `append|…`, `run|command line`.
# Source: cloud-init, "Module reference": set_hostname, users_groups, ssh, write_files, runcmd.

END {
    if (failed) exit 1
    yaml_read()
    if (failed) exit 1
    for (i = 1; i <= path_count; i++) {
        depth = split(paths[i], part, SUBSEP)
        read_key(part, depth, paths[i], value[paths[i]])
    }
}

function read_key(part, depth, path, text) {
    if (part[1] == "hostname") step("hostname", text)
    else if (part[1] == "fqdn" && !("hostname" in value)) step("hostname", text)
    else if (part[1] == "ssh_authorized_keys") { if (text != "") step("key", "root", text) }
    else if (part[1] == "users") read_user(part, depth, path, text)
    else if (part[1] == "write_files") read_file_entry(part, path)
    else if (part[1] == "runcmd") read_command(part, depth, text)
    else if (!harmless(part[1], text)) ignored(path)
}

# Keys that ask for what this image does anyway.
function harmless(key, text) {
    if (key == "disable_root" || key == "ssh_pwauth" || key == "package_update" || key == "package_upgrade") return !is_true(text)
    return key == "fqdn" || key == "preserve_hostname" && !is_true(text)
}

function read_user(part, depth, path, text,  prefix, name) {
    if (depth == 2) { if (text != "default") step("user", text, ""); return }
    prefix = part[1] SUBSEP part[2] SUBSEP
    name = value[prefix "name"]
    if (!((prefix) in seen)) { seen[prefix] = 1; if (name != "root") step("user", name, value[prefix "shell"]) }
    if (part[3] == "ssh_authorized_keys") { if (text != "") step("key", name, text) }
    else if (part[3] == "lock_passwd" && is_true(text)) return
    else if (part[3] != "name" && part[3] != "shell" && part[3] != "gecos") ignored(path)
}

function read_file_entry(part, path,  prefix, verb) {
    prefix = part[1] SUBSEP part[2] SUBSEP
    if (part[3] !~ /^(path|permissions|encoding|content|append)$/) ignored(path)
    if (prefix in seen) return
    seen[prefix] = 1
    verb = is_true(value[prefix "append"]) ? "append" : "file"
    step(verb, value[prefix "path"], value[prefix "permissions"], value[prefix "encoding"], value[prefix "content"])
}

# A command is a line for the shell, or a list of words that the shell must not touch.
function read_command(part, depth, text,  prefix, i, words) {
    if (depth == 2) { if (text != "") step("run", text); return }
    prefix = part[1] SUBSEP part[2]
    if (kind[prefix] != "seq") { ignored(prefix); return }  # a line with ": " is a mapping; it must be quoted
    if (part[3] != "0") return
    words = ""
    for (i = 0; i < count[prefix]; i++) words = words (i ? " " : "") shell_quoted(value[prefix SUBSEP i])
    step("run", words)
}

function shell_quoted(text) { gsub(/'/, "'\\''", text); return "'" text "'" }
