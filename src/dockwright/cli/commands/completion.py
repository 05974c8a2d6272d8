"""`completion`: the script that teaches a shell to complete our command lines."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_BASH = r"""# bash completion for dockwright: source it, or put it into /etc/bash_completion.d
_dockwright() {
    local current="${COMP_WORDS[COMP_CWORD]}" line files=
    # bash splits words at colons; image names are put together again, and their head is taken off the answers.
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cword all
        _get_comp_words_by_ref -n : -c current -w all -i cword
        words=("${all[@]:1:cword}")
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then files=1; else COMPREPLY+=("${line%%$'\t'*}"); fi
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi
}
complete -F _dockwright dockwright
"""

_ZSH = r"""#compdef dockwright
# zsh completion for dockwright: put it into a directory of $fpath as _dockwright
_dockwright() {
    local line files
    local -a found
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            files=1
        else
            line=${line//:/\\:}
            found+=("${line/$'\t'/:}")
        fi
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#found} )) && _describe -t candidates dockwright found
    [[ -n $files ]] && _files
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _dockwright "$@"; else compdef _dockwright dockwright; fi
"""

_FISH = r"""# fish completion for dockwright: put it into ~/.config/fish/completions/dockwright.fish
function __dockwright_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $words[1] __complete $words[2..-1] $current 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path $current
        else
            echo $line
        end
    end
end
complete -c dockwright -f -a '(__dockwright_complete)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(session: Session, options: Options, arguments: list[str]) -> None:
    script = _SCRIPTS.get(arguments[0])
    if script is None:
        raise errors.Invalid(f'no completion for the shell "{arguments[0]}": there is bash, zsh and fish')
    session.out(script)


COMMAND = Command(
    ("completion",),
    "Print the completion script of a shell",
    "bash|zsh|fish",
    run,
    arguments=ONE,
    about="For bash, for now: source <(dockwright completion bash)",
    completes=("shells",),
)
