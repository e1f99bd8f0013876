"""``bmctl completion``: the shell's completion script, on standard output."""

from argparse import Namespace

from bmctl.arguments import Parser

DESCRIPTION = """\
Print the completion script for a shell. It completes verbs, options, and names: of machines, their disks and NICs,
servers, images, networks, instance types, namespaces and contexts."""
EXAMPLES = (
    "source <(bmctl completion bash)",
    "bmctl completion zsh > ~/.zfunc/_bmctl",
    "bmctl completion fish > ~/.config/fish/completions/bmctl.fish",
)

_BASH = """\
# bash completion for bmctl
_bmctl() {
    local word words=("${COMP_WORDS[@]:1:COMP_CWORD}") typed="${COMP_WORDS[COMP_CWORD]}" before=""
    COMPREPLY=()
    # bash takes = and : for the ends of words: put together what it took apart, and give it the last part alone.
    if [[ "${COMP_WORDS[*]:1:COMP_CWORD}" == *[=:]* ]]; then
        local line="${COMP_LINE:0:COMP_POINT}"
        read -ra words <<<"${line#* }"
        [[ "$line" == *" " ]] && words+=("")
        [[ "$typed" == [=:] ]] && typed=""
        before="${words[-1]%"$typed"}"
    fi
    while IFS= read -r word; do
        if [[ "$word" == ":file" ]]; then
            compopt -o default
            COMPREPLY=()
            return
        fi
        COMPREPLY+=("${word#"$before"}")
    done < <(bmctl __complete "${words[@]}" 2>/dev/null)
}
complete -F _bmctl bmctl
"""
_ZSH = """\
#compdef bmctl
_bmctl() {
    local -a found
    found=("${(@f)$(bmctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ "${found[1]}" == ":file" ]]; then
        # The path begins behind the = of an option.
        [[ "$PREFIX" == --*=* ]] && compset -P '*='
        _files
    elif [[ -n "${found[1]}" ]]; then
        compadd -a found
    fi
}
if [[ "${funcstack[1]}" == "_bmctl" ]]; then
    _bmctl
else
    compdef _bmctl bmctl
fi
"""
_FISH = """\
# fish completion for bmctl
function __bmctl_complete
    set -l words (commandline -opc)[2..-1] (commandline -ct)
    set -l found (bmctl __complete $words 2>/dev/null)
    if test "$found[1]" = ":file"
        # The path begins behind the = of an option.
        set -l option (string match -r -- '^--[^=]*=' $words[-1])
        printf "$option%s\\n" (__fish_complete_path (string replace -- "$option" '' $words[-1]))
    else if set -q found[1]
        printf '%s\\n' $found
    end
end
complete -c bmctl -f -a '(__bmctl_complete)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("shell", choices=tuple(_SCRIPTS), help="the shell to complete for")


def run(args: Namespace) -> None:
    """Do it."""
    print(_SCRIPTS[args.shell], end="")
