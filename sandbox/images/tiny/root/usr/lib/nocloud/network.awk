# network-config -> plan: `link|id|mac|new name|mtu`, `address|id|cidr`, `route|id|to|via|metric`, `nameserver|address`,
# `search|domain`. Source: cloud-init, "Networking config Version 2" and "Version 1" (physical, static subnets).

END {
    if (failed) exit 1
    yaml_read()
    if (failed) exit 1
    root = kind["network"] == "map" ? "network" SUBSEP : ""
    version = value[root "version"]
    if (version == "2") plan_version_2()
    else if (version == "1") plan_version_1()
    else if (path_count) { at = 1; yaml_fail("network-config version \"" version "\" is neither 1 nor 2") }
    for (i = 1; i <= link_count; i++) write_link(links[i])
    for (i = 1; i <= resolver_count; i++) print resolvers[i]
}

function link_of(id) {
    if (!(id in known)) { known[id] = 1; links[++link_count] = id }
    return id
}

function write_link(id,  i) {
    step("link", id, tolower(mac[id]), new_name[id], mtu[id])
    for (i = 1; i <= address_count[id]; i++) step("address", id, address[id, i])
    for (i = 1; i <= route_count[id]; i++) step("route", id, route_to[id, i], route_via[id, i], route_metric[id, i])
}

function add_address(id, text) { address[id, ++address_count[id]] = text }

function add_route(id, to, via, metric,  i) {
    i = ++route_count[id]
    route_to[id, i] = (to == "default" || to == "") ? (via ~ /:/ ? "::/0" : "0.0.0.0/0") : to
    route_via[id, i] = via
    route_metric[id, i] = metric
}

function add_resolver(verb, text) { resolvers[++resolver_count] = verb "|" field(text) }

# ---- version 2

function plan_version_2(  i, path, depth, part, skip) {
    skip = root == "" ? 0 : 1
    for (i = 1; i <= path_count; i++) {
        path = paths[i]
        depth = split(path, part, SUBSEP)
        if (part[skip + 1] == "version" || part[skip + 1] == "renderer") continue
        if (part[skip + 1] == "ethernets" && depth > skip + 2) ethernet(link_of(part[skip + 2]), part, skip + 2, depth, path)
        else if (part[skip + 1] == "ethernets" && depth == skip + 2 && value[path] == "") link_of(part[skip + 2])
        else ignored(path)
    }
}

function ethernet(id, part, base, depth, path,  key, text) {
    key = part[base + 1]
    text = value[path]
    if (key == "match" && part[base + 2] == "macaddress") mac[id] = text
    else if (key == "match" && part[base + 2] == "name" && text == id) return
    else if (key == "set-name") new_name[id] = text
    else if (key == "mtu") mtu[id] = text
    else if (key == "addresses" && depth == base + 2) add_address(id, text)
    else if (key == "gateway4" || key == "gateway6") add_route(id, "default", text, "")
    else if (key == "routes") version_2_route(id, path, part, base)
    else if (key == "nameservers" && part[base + 2] == "addresses") add_resolver("nameserver", text)
    else if (key == "nameservers" && part[base + 2] == "search") add_resolver("search", text)
    else if ((key == "dhcp4" || key == "dhcp6" || key == "optional" || key == "accept-ra") && !is_true(text)) return
    else ignored(path)
}

# A route is planned once, at the first of its keys.
function version_2_route(id, path, part, base,  prefix) {
    prefix = path
    sub(SUBSEP "[^" SUBSEP "]*$", "", prefix)
    if (part[base + 3] !~ /^(to|via|metric)$/) ignored(path)
    if (prefix in planned) return
    planned[prefix] = 1
    add_route(id, value[prefix SUBSEP "to"], value[prefix SUBSEP "via"], value[prefix SUBSEP "metric"])
}

# ---- version 1

function plan_version_1(  i, entry) {
    for (i = 0; i < count[root "config"]; i++) {
        entry = root "config" SUBSEP i SUBSEP
        if (value[entry "type"] == "physical") physical(entry)
        else if (value[entry "type"] == "nameserver") resolver_entry(entry)
        else ignored(entry "type " value[entry "type"])
    }
}

function physical(entry,  id, i, subnet) {
    id = link_of(value[entry "name"])
    mac[id] = value[entry "mac_address"]
    mtu[id] = value[entry "mtu"]
    if (mac[id] != "") new_name[id] = id
    for (i = 0; i < count[entry "subnets"]; i++) {
        subnet = entry "subnets" SUBSEP i SUBSEP
        if (value[subnet "type"] !~ /^static6?$/) { ignored(subnet "type " value[subnet "type"]); continue }
        add_address(id, with_prefix(value[subnet "address"], value[subnet "netmask"]))
        if (value[subnet "gateway"] != "") add_route(id, "default", value[subnet "gateway"], "")
        each_resolver(subnet "dns_nameservers", "nameserver")
        each_resolver(subnet "dns_search", "search")
    }
}

function resolver_entry(entry) {
    each_resolver(entry "address", "nameserver")
    each_resolver(entry "search", "search")
}

function each_resolver(path, verb,  i) {
    if (kind[path] == "scalar") add_resolver(verb, value[path])
    for (i = 0; i < count[path]; i++) add_resolver(verb, value[path SUBSEP i])
}

function with_prefix(text, netmask,  part, i, bits, octet) {
    if (text ~ /\// || netmask == "") return text
    if (netmask !~ /\./) return text "/" netmask
    split(netmask, part, ".")
    bits = 0
    for (i = 1; i <= 4; i++) for (octet = part[i]; octet > 0; octet = (octet * 2) % 256) bits++
    return text "/" bits
}
