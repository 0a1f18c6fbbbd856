# A switch to a system with another index is taken by the daemon that runs: no restart, no connection lost.
{ module }:
let
  story = import ./parts/story.nix { inherit module; };
  first = story.entry "ajna-insight-v1" "the weights of a story";
  second = story.entry "manipura-will-v1" "the weights of its sequel";
in
{
  name = "hallmark-reload";
  nodes = {
    hub = story.hub {
      files = [
        first
        second
      ];
    };
    host =
      { lib, ... }:
      {
        imports = [
          (story.host {
            indexPath = lib.mkDefault (story.index [ first ]);
            deployedModels = [ first.id ];
            huggingFace.endpoint = "http://hub";
          })
        ];
        specialisation.sequel.configuration.services.models = {
          indexPath = story.index [
            first
            second
          ];
          deployedModels = [ second.id ];
        };
      };
  };
  testScript = ''
    ${story.looks}
    start_all()
    hub.wait_for_open_port(80)
    wait_for_state(host, "${first.id}", "deployed")
    before = host.succeed("systemctl show -P MainPID hallmark.service")
    host.succeed("/run/current-system/specialisation/sequel/bin/switch-to-configuration test")
    wait_for_state(host, "${second.id}", "deployed")
    after = host.succeed("systemctl show -P MainPID hallmark.service")
    assert before == after, f"hallmark was restarted: {before} is now {after}"
    host.wait_for_unit("hallmark-model@${second.id}.target")
    assert model(host, "${first.id}")["state"] == "deployed"
  '';
}
