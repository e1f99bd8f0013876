#!/bin/sh
# What ipmi_sim runs for each chassis command: <control.sock> get|set power|reset|boot|shutdown [VALUE].
# It asks the chassis over its socket and answers as ipmi_sim expects: "name:value" lines, exit status 0 when done.
# A shell and socat take milliseconds; power is asked for often.
socket=$1 verb=$2 name=$3 value=$4

call() {
    reply=$(printf '{"jsonrpc":"2.0","id":1,"method":"%s"%s}' "$1" "${2:+,\"params\":$2}" |
        socat -t 5 - "UNIX-CONNECT:$socket") || exit 1
    case $reply in
        *'"result":'*) ;;
        *) echo "$1: $reply" >&2; exit 1 ;;
    esac
}

case "$verb $name $value" in
    'get power '*)
        call power_get
        case $reply in *'"on"'*) echo power:1 ;; *) echo power:0 ;; esac ;;
    'set power 1') call power_on ;;
    'set power 0') call power_off ;;
    'set reset '*) call power_reset ;;
    'set shutdown '*) call power_soft ;;
    # ipmi_sim's name for the disk is "default": boot from the default hard drive (IPMI 2.0, table 28-14).
    'get boot '*)
        call boot_device_get
        case $reply in *'"disk"'*) echo boot:default ;; *) echo boot:none ;; esac ;;
    'set boot default') call boot_device_set '{"device":"disk"}' ;;
    'set boot none') call boot_device_set '{"device":"none"}' ;;
    'set boot '*) call boot_device_set "{\"device\":\"$value\"}" ;;
    'set identify '*) ;;
    *) echo "$verb $name $value: not known" >&2; exit 1 ;;
esac
