# meta-data -> plan: `instance|id`, `hostname|name`, `key|root|SSH public key`.
# Source: cloud-init, "NoCloud", and its reading of public-keys as a text, a list, or a map of names to either.

END {
    if (failed) exit 1
    yaml_read()
    if (failed) exit 1
    for (i = 1; i <= path_count; i++) {
        split(paths[i], part, SUBSEP)
        text = value[paths[i]]
        if (part[1] == "instance-id") step("instance", text)
        else if (part[1] == "local-hostname" || (part[1] == "hostname" && !("local-hostname" in value))) step("hostname", text)
        else if (part[1] == "public-keys") { if (text != "") step("key", "root", text) }
        else if (part[1] != "hostname" && part[1] != "dsmode") ignored(paths[i])
    }
}
